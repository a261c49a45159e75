"""Open a study, compute what is left of it, write the report: needs the model."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from time import perf_counter
from typing import Any

import torch

from steppe.core.errors import InputError, RunFailedError
from steppe.core.parts import Part
from steppe.execution.cluster import started
from steppe.execution.outcome import Outcome, is_up_to_date, refuse_damage
from steppe.execution.process_state import process_state_kept
from steppe.execution.ray import Assignment, run_on_ray
from steppe.execution.serial import run_serial, telling_of_memory
from steppe.execution.stages import stages_left
from steppe.execution.workers import Workers
from steppe.propagation import set_memory_budget
from steppe.settings.catalogue import find_study
from steppe.store import Opening, open_run
from steppe.store.reported import is_reported, reporting
from steppe.study.given import Given
from steppe.study.running import Shard, StudyRun


def compute(
    settings: Any, opening: Opening, workers: Workers, given: Given | None = None
) -> Outcome:
    """Load what the settings name and do what is left (`steppe.execution.run.run_study`).

    What it sets for the process is given back.
    """
    with process_state_kept():
        return _run_as_asked(settings, opening, workers, given)


def _run_as_asked(
    settings: Any, opening: Opening, workers: Workers, given: Given | None
) -> Outcome:
    set_memory_budget(workers.memory_budget)
    if workers.engine == "serial":
        if workers.threads is not None:
            torch.set_num_threads(workers.threads)
        opening = replace(opening, part=workers.part)
        return _run(settings, opening, workers, run_serial, given)
    if given is not None and given.named():
        raise InputError(
            "workers",
            got=f"Ray, with an object for {', '.join(given.named())}",
            expected="workers='serial': other processes cannot see an object of this one",
            fix="save it to a folder and give the folder, or leave out workers",
        )
    with started(workers, settings.device) as crew:
        # As its workers: what is measured for all shards may depend on it in the last bit.
        torch.set_num_threads(crew.threads)
        opening = replace(opening, part=workers.part, workers=crew.count)
        helper = replace(opening, path=opening.path.resolve(), role="helper", overwrite=False)
        limits = (crew.threads, workers.memory_budget)
        assignment = Assignment(settings, helper, str(Path.cwd()), *limits)
        return _run(
            settings,
            opening,
            workers,
            lambda study, left: run_on_ray(left, replace(assignment, settings=study.asked), crew),
        )


def _run(
    settings: Any,
    opening: Opening,
    workers: Workers,
    work: Callable[[StudyRun, Sequence[Shard]], None],
    given: Given | None = None,
) -> Outcome:
    computed, context = 0, None
    for stage in stages_left(settings, opening):
        with telling_of_memory("loading the study"):
            study = find_study(stage.study).open(stage, opening, given, context)
        outcome = _measure(study, workers, work)
        computed += outcome.computed
        if outcome.reported:
            break
        context, opening = study.context, replace(opening, overwrite=False)
    return replace(outcome, computed=computed)


def _measure(
    study: StudyRun, workers: Workers, work: Callable[[StudyRun, Sequence[Shard]], None]
) -> Outcome:
    started_at, ending = perf_counter(), "interrupted"
    asked: list[Shard] = []
    try:
        asked = study.left(workers.part)
        work(study, asked)
        reported = study.is_over() and _report(study, workers.part)
        ending = "finished"
    finally:
        study.folder.close(
            {
                "ending": ending,
                "ended": datetime.now(UTC).isoformat(timespec="seconds"),
                "wall_seconds": round(perf_counter() - started_at, 1),
                "engine_of_workers": workers.engine,
                "shards_asked": len(asked),
                **study.reported,
            }
        )
    left = 0 if reported else len(study.left(Part()))
    return Outcome(len(asked), left, reported)


def _report(study: StudyRun, part: Part) -> bool:
    """Write the report once every shard of the run is finished; whether it was written."""
    left = study.left(Part())
    if left and part.is_whole:
        raise RunFailedError(
            f"run folder {study.folder.path}",
            got=f"{len(left)} shards that were finished are so no more",
            expected="files that nobody removes or changes while the run goes on",
            fix="give the same command again: it computes them again",
        )
    if left:
        return False
    with study.folder.alone():
        # Several processes may find the run finished: one of them reports.
        run = open_run(study.folder.path)
        if part.is_whole or not is_reported(run):
            refuse_damage(run.path)
            study.keep_texts()
            if not is_up_to_date(run):
                with reporting(run):
                    study.report()
    return True
