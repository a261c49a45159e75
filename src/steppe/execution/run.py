"""From settings to a finished run; one that is finished already is known without its model."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from steppe.core.lazy import load
from steppe.core.progress import tell
from steppe.execution.outcome import Outcome, refuse_damage, report_if_changed
from steppe.execution.stages import check_stages, stages_left
from steppe.execution.workers import Workers
from steppe.settings.request import request_of
from steppe.store import Opening, locks
from steppe.store.finished import finished_run

if TYPE_CHECKING:
    from steppe.study.given import Given


def run_study(
    settings: Any, opening: Opening, workers: Workers, given: Given | None = None
) -> Outcome:
    """Compute every shard of this process's part that is not done, and report a finished run.

    The report is written by a process that computes the whole run, and of several with parts by the
    one that finds the run finished: the last. Where the same request has been answered already, all
    of it, nothing is loaded, and the report is written only where it would be another.

    Where samples are added until claims are decided, each stage up to a planned look is a run of so
    many samples, and the last that is needed is reported.

    What it sets for the process is given back.

    Args:
        settings: A study's settings.
        opening: The run folder.
        workers: Who computes.
        given: Objects that stand in for what the settings name; this process alone has them.

    Raises:
        InputError: Settings that do not fit, or a folder that cannot be this run's.
        RunFailedError: The disk is full, or workers were lost again and again.
    """
    check_stages(settings, workers)
    if given is None or not given.named():
        known = _finished(stages_left(settings, opening)[0], opening, workers)
        if known is not None:
            return known
    outcome: Outcome = load("steppe.execution.computing:compute")(settings, opening, workers, given)
    return outcome


def _finished(settings: Any, opening: Opening, workers: Workers) -> Outcome | None:
    """What is to be done of a run that holds all of its results; None: it is to be opened."""
    if opening.overwrite or opening.role != "owner" or not opening.path.is_dir():
        return None
    request = request_of(settings)
    if request is None or finished_run(opening.path, request.key) is None:
        return None
    locks.refuse_if_busy(opening.path, workers.part)
    with locks.whole(opening.path):
        # Looked at again: another process may have come first.
        run = finished_run(opening.path, request.key)
        if run is None:
            return None
        refuse_damage(run.path)
        tell("all of it is finished: no model is loaded")
        report_if_changed(run.path)
    return Outcome(0, 0, reported=True)
