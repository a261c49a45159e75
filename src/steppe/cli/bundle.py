"""`steppe bundle`: the pages of several runs as a folder for any web host."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any
from urllib.parse import quote

import typer

from steppe.cli.telling import say
from steppe.cli.view import page_path
from steppe.core.errors import InputError
from steppe.core.lazy import load

Runs = Annotated[
    list[Path], typer.Argument(help="Run folders, for instance runs/giglemiani2024-demo.")
]


def bundle(out: Annotated[Path, typer.Argument(help="The folder to be made.")], runs: Runs) -> None:
    """Make a folder of runs' pages that any web host can show: index.html and a page a run.

    The index has the runs side by side: what each ran, and the verdicts on each claim.
    """
    if out.exists():
        raise InputError(
            f"bundle {out}",
            got="something is there",
            expected="a folder that is not there yet",
            fix="choose another one, or remove it",
        )
    named = names_of(runs)
    links = {name: f"{name}.html" for name in named}
    index = side_by_side(named, links)
    pages = {name: page_path(run) for name, run in named.items()}
    write = load("steppe.store.writing:write_atomically")
    write(out / "index.html", index.encode())
    for name, page in pages.items():
        write(out / links[name], page.read_bytes())
    say(f"done: {out / 'index.html'}")


def names_of(runs: list[Path]) -> dict[str, Path]:
    """The runs by the names of their folders; of equal names the later ones get a number."""
    named: dict[str, Path] = {}
    for run in runs:
        name = stem = run.resolve().name
        number = 2
        while name in named or name == "index":
            name, number = f"{stem}-{number}", number + 1
        named[name] = run
    return named


def side_by_side(named: dict[str, Path], links: dict[str, str]) -> str:
    """The page of several runs.

    Raises:
        InputError: One of them is no run.
    """
    beside, open_run = load("steppe.reports.page.several:Beside"), load("steppe.store:open_run")
    opened: dict[str, Any] = {name: open_run(run) for name, run in named.items()}
    found = [
        beside(name, run.config["resolved"], run.tables.get("claims"), quote(links.get(name, "")))
        for name, run in opened.items()
    ]
    return str(load("steppe.reports.page.several:render_several")(found))
