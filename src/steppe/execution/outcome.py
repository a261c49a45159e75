"""How a process leaves a run, and when and from what its report is written."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from steppe.core.errors import InputError, RunFailedError
from steppe.settings.catalogue import find_study
from steppe.settings.request import is_steppes_own
from steppe.store import Run, open_run
from steppe.store.finished import unfinished
from steppe.store.reported import is_current, reporting
from steppe.store.verify import verify


@dataclass(frozen=True)
class Outcome:
    """How a process left a run.

    Attributes:
        computed: Shards that it computed.
        left: Shards of the run that are not finished yet.
        reported: Whether the report is written.
    """

    computed: int
    left: int
    reported: bool


def is_up_to_date(run: Run) -> bool:
    """Whether a run's report would be the same if it was made anew.

    What code of somebody's own would make of it is not known before it is run.
    """
    return is_steppes_own(run.config["resolved"]) and is_current(run)


def write_report(run: Run) -> None:
    """Write the tables, figures, claims, summary and page of a run anew; needs no model.

    Raises:
        InputError: Its study is not known here, or it is not finished.
    """
    missing = unfinished(run)
    if missing or not run.datasets():
        raise InputError(
            f"run {run.path}",
            got=f"not finished yet: {', '.join(missing) or 'nothing is measured'}",
            expected="a finished run: a report says of how many samples it is",
            fix="repeat the run's command: it goes on where it stopped, and writes the report last",
        )
    study = find_study(str(run.config["resolved"]["study"]))
    with reporting(run):
        study.write_report(run.path)


def report_if_changed(path: Path) -> bool:
    """Write a run's report unless it would be the same again; whether it was written.

    Raises:
        InputError: There is no run, or its study is not known here.
    """
    run = open_run(path)
    is_changed = not is_up_to_date(run)
    if is_changed:
        write_report(run)
    return is_changed


def refuse_damage(path: Path) -> None:
    """No report is made from files that are not as they were written.

    Raises:
        RunFailedError: Some are not.
    """
    damaged = verify(path, withdraw=False).damage
    if damaged:
        raise RunFailedError(
            f"run folder {path}",
            got=f"damaged: {'; '.join(found.fault for found in damaged[:3])}",
            expected="every file as it was written",
            fix="`steppe check-run` on that folder, then the same command again: it computes what "
            "is damaged, and keeps the rest",
        )
