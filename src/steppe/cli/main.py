"""The command table, and how a mistake is told: one message, no traceback, an exit status."""

from __future__ import annotations

import errno
import sys
from typing import Annotated

import typer

from steppe import __version__
from steppe.cli.check import check
from steppe.cli.listing import listing
from steppe.cli.reproduce import reproduce
from steppe.cli.run import run
from steppe.cli.show import show
from steppe.core.errors import RunFailedError, SteppeError

INTERRUPTED = 130

app = typer.Typer(
    name="steppe",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="Measure how a language model's output responds as one activation is moved along a path.",
    epilog="Start with: steppe reproduce giglemiani2024 --subject demo --samples 50",
)
app.command()(reproduce)
app.command()(run)
app.command()(show)
app.command()(check)
app.command("list")(listing)


def _version(value: bool) -> None:
    if value:
        print(f"steppe {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    """Measure how a model's output responds as one activation is moved along a path."""


def main(arguments: list[str] | None = None) -> None:
    """Run the command line.

    Args:
        arguments: Command-line words; those of the process when None.
    """
    try:
        app(args=arguments, standalone_mode=True)
    except SteppeError as error:
        _stop(str(error), error.exit_status)
    except KeyboardInterrupt:
        _stop("interrupted: the same command goes on where this one stopped", INTERRUPTED)
    except OSError as error:
        failed = _explained(error)
        _stop(str(failed), failed.exit_status)


def _explained(error: OSError) -> RunFailedError:
    """What the operating system refused, in the form of every other error."""
    full = error.errno == errno.ENOSPC
    return RunFailedError(
        str(error.filename or "the operating system"),
        got="no space left on the device" if full else error.strerror or str(error),
        expected="room for the run's results" if full else "a file that can be read or written",
        fix="free some space, then repeat the command: finished work is kept"
        if full
        else "check the path and its permissions, then repeat the command: finished work is kept",
    )


def _stop(message: str, status: int) -> None:
    print(f"steppe: {message}", file=sys.stderr)
    sys.exit(status)
