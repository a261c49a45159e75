"""Run shards on Ray: one actor per device, each with the study loaded once.

Shard numbers go in; an actor writes its shards into the run folder itself. Ray starts an actor that
was lost again, and gives it its shard once more.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from steppe.core.errors import RunFailedError, SteppeError
from steppe.core.lazy import load
from steppe.core.progress import progress
from steppe.execution.cluster import Crew, first_line, import_ray
from steppe.execution.serial import compute_and_store, telling_of_memory
from steppe.execution.signals import deferred
from steppe.propagation import set_memory_budget
from steppe.settings.catalogue import find_study
from steppe.store import Opening
from steppe.study.running import Shard, StudyRun

# How often the actor of one shard may be lost before the run is given up.
LOSSES_OF_A_SHARD = 3


@dataclass(frozen=True)
class Assignment:
    """What an actor loads, from the driver's ``folder``, and what it may use (threads, bytes)."""

    settings: Any
    opening: Opening
    folder: str
    threads: int
    memory_budget: int | None = None


class Worker:
    """One actor: the study on one device."""

    def __init__(self, assignment: Assignment) -> None:
        self.assignment = assignment
        self.study: StudyRun | None = None

    def work(self, shard: Shard) -> float | SteppeError | OSError:
        """Compute and store one shard; the seconds it took, or why it could not be done."""
        try:
            self.study = self.study or self._open()
            return compute_and_store(self.study, shard)
        except (SteppeError, OSError) as error:
            return error

    def _open(self) -> StudyRun:
        wanted = self.assignment
        # Relative paths in the settings start in the driver's folder; the process is Ray's own.
        if Path(wanted.folder).is_dir():
            os.chdir(wanted.folder)
        torch.set_num_threads(wanted.threads)
        set_memory_budget(wanted.memory_budget)
        open_study = find_study(wanted.settings.study).open
        with telling_of_memory("a worker of Ray, loading the study"):
            study: StudyRun = open_study(wanted.settings, wanted.opening)
        return study


def run_on_ray(left: Sequence[Shard], assignment: Assignment, crew: Crew) -> None:
    """Compute and store shards on Ray's actors.

    Raises:
        SteppeError: What an actor could not do.
        RunFailedError: The actors of one shard were lost again and again.
    """
    ray = import_ray()
    options = {"max_restarts": -1, "max_task_retries": LOSSES_OF_A_SHARD - 1}
    options |= {"num_cpus": crew.threads, "num_gpus": crew.gpus}
    worker = ray.remote(Worker).options(**options)
    actors = [worker.remote(assignment) for _ in range(min(crew.count, len(left)))]
    pool = load("ray.util:ActorPool")(actors)
    for shard in left:
        pool.submit(lambda actor, given: actor.work.remote(given), shard)
    with deferred() as carry_out_signals:
        done = _answers(pool, ray.exceptions.RayActorError, carry_out_signals)
        for answer in progress(done, "measuring", total=len(left), unit="shard"):
            if isinstance(answer, SteppeError | OSError):
                raise answer
    # After an error leaving Ray ends them: killing an actor at work makes Ray tell of its retries.
    for actor in actors:
        ray.kill(actor)


def _answers(pool: Any, lost: type[Exception], between: Callable[[], None]) -> Iterator[Any]:
    """What actors answer, as they do; signals are carried out ``between``."""
    while pool.has_next():
        between()
        try:
            yield pool.get_next_unordered(timeout=0.2)
        except TimeoutError:
            continue
        except lost as error:
            raise RunFailedError(
                "Ray's workers",
                got=f"{LOSSES_OF_A_SHARD} of them ended on one shard: {first_line(error)}",
                expected="workers that live; often they ran out of memory",
                fix="ask for fewer workers (--workers ray:2), then give the same command again: "
                "finished shards are kept",
            ) from error
