"""`steppe sae convert`: an SAE of any public format, written as SAELens saves one."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from steppe.cli.telling import say
from steppe.core.lazy import load

sae = typer.Typer(name="sae", no_args_is_help=True, help="SAEs: convert them.")


@sae.callback()
def _group() -> None:
    """SAEs: convert them."""


@sae.command("convert")
def convert(
    source: Annotated[
        str, typer.Argument(metavar="IN", help="A folder, a file, a release or a hub address.")
    ],
    target: Annotated[Path, typer.Argument(metavar="OUT", help="The folder to be made.")],
) -> None:
    """Write an SAE of any public format as a SAELens folder (docs/saes.md)."""
    converted = load("steppe.sae.converting:convert")(source, target)
    say(f"{target}: {load('steppe.sae.converting:said_of')(converted)}")
