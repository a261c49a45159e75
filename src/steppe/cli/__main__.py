"""Run the command line with ``python -m steppe.cli``."""

from steppe.cli.main import main

main()
