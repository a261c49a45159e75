"""`steppe view`: a run's page in the browser."""

from __future__ import annotations

import webbrowser
from pathlib import Path

from steppe.cli import options
from steppe.cli.telling import say
from steppe.core.errors import InputError
from steppe.core.lazy import load


def view(run: options.RunPath) -> None:
    """Open a run's page: claims, curves of single prompts, tables and figures to explore.

    The page is one file, report.html in the run folder, and needs neither a server nor a network:
    send it as it is. Its address keeps what is being looked at.
    """
    place = page_path(run).resolve().as_uri()
    say(place)
    webbrowser.open(place)


def page_path(run: Path) -> Path:
    """Where a run's page is.

    Raises:
        InputError: It is no run, or has no page yet.
    """
    path: Path = load("steppe.store:open_run")(run).path / load("steppe.store.layout:PAGE")
    if not path.exists():
        raise InputError(
            f"run {run}",
            got="no report.html",
            expected="a finished run, whose report has been written",
            fix=f"steppe report {run}, or repeat the run's command where it is not finished",
        )
    return path
