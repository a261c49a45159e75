"""Run a study's shards on Ray: one actor per device, each with the study loaded once.

Shard numbers go in and small records come out; an actor writes its shards into the run folder
itself. A lost actor is replaced and its shard computed again, by whichever is free.
"""

from __future__ import annotations

import os
import re
import shutil
import socket
import tempfile
import warnings
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from steppe.core.errors import InputError, MissingExtraError, RunFailedError, SteppeError
from steppe.core.lazy import load
from steppe.core.progress import progress
from steppe.execution.serial import compute_and_store, telling_of_memory
from steppe.execution.signals import deferred, kept
from steppe.execution.workers import Workers, usable_cpus
from steppe.propagation import set_memory_budget
from steppe.recipes.catalogue import find_recipe
from steppe.recipes.study import Shard, Study
from steppe.store import Opening

# How often one shard, or an actor in all, may be lost before the run is given up.
LOSSES_OF_A_SHARD = 3
_CPUS_PER_ACTOR = 4
_OBJECT_STORE_BYTES = 100_000_000
_IN_PLACE = "/tmp"
_POLL_SECONDS = 0.2
_ANSWER_SECONDS = 10.0
_ADDRESS = re.compile(r"(?:ray://)?(\[[^\]]+\]|[^:/\s]+):(\d{1,5})")
_QUIETLY: dict[str, Any] = {"log_to_driver": False, "logging_level": "ERROR"}


@dataclass(frozen=True)
class Resources:
    """What of its machine an actor may use.

    Attributes:
        threads: CPU threads.
        memory_budget: Bytes beyond the weights; None: half of what is free.
    """

    threads: int
    memory_budget: int | None = None


@dataclass(frozen=True)
class Assignment:
    """What an actor needs to load the study.

    Attributes:
        settings: The recipe's settings.
        opening: The run folder, as a helper.
        folder: The driver's current folder: relative paths in the settings start there.
        resources: What of its machine it may use.
    """

    settings: Any
    opening: Opening
    folder: str
    resources: Resources


@dataclass(frozen=True)
class Crew:
    """The actors that a run may have.

    Attributes:
        count: How many.
        threads: CPU threads of each.
        gpus: GPUs of each.
    """

    count: int
    threads: int
    gpus: int


class Worker:
    """One actor: the study on one device."""

    def __init__(self, assignment: Assignment) -> None:
        self.assignment = assignment
        self.study: Study | None = None

    def open(self) -> SteppeError | OSError | None:
        """Load the study; what is wrong with it is returned, so that it can be told as it is."""
        wanted = self.assignment
        if Path(wanted.folder).is_dir():
            os.chdir(wanted.folder)
        # Ray sets the number of threads for the CPUs it counts, which may be more than one actor's.
        torch.set_num_threads(wanted.resources.threads)
        set_memory_budget(wanted.resources.memory_budget)
        try:
            open_study = load(find_recipe(wanted.settings.recipe).study)
            with telling_of_memory("a worker of Ray, loading the study"):
                self.study = open_study(wanted.settings, wanted.opening)
        except (SteppeError, OSError) as error:
            return error
        return None

    def work(self, shard: Shard) -> float | SteppeError | OSError:
        """Compute and store one shard; the seconds it took, or why it could not be done."""
        assert self.study is not None
        try:
            return compute_and_store(self.study, shard)
        except (SteppeError, OSError) as error:
            return error


@contextmanager
def started(workers: Workers, device: str) -> Iterator[Crew]:
    """Join the cluster at ``RAY_ADDRESS``, or start Ray on this machine; leave it afterwards.

    Args:
        workers: How many actors, with how many threads.
        device: The device asked for.

    Raises:
        MissingExtraError: Ray is not installed.
        InputError: There is no cluster at ``RAY_ADDRESS``, it has no room for one actor, or the
            device cannot be shared out.
    """
    ray = _import_ray()
    if device not in {"auto", "cpu", "cuda"}:
        raise InputError(
            "--device with --workers ray",
            got=device,
            expected="auto, cpu or cuda: Ray gives each worker its own device",
            fix="limit the devices with CUDA_VISIBLE_DEVICES instead",
        )
    with _session(ray, workers):
        yield _crew(ray.cluster_resources(), workers, device)


def run_on_ray(left: Sequence[Shard], assignment: Assignment, crew: Crew) -> None:
    """Compute and store shards on Ray's actors.

    Args:
        left: Which shards.
        assignment: What the actors load.
        crew: How many actors there may be.

    Raises:
        SteppeError: What an actor could not do.
        RunFailedError: Actors were lost again and again.
    """
    if not left:
        return
    pool = _Pool(_import_ray(), assignment, crew)
    with deferred() as carry_out_signals:
        try:
            done = pool.run(left, carry_out_signals)
            for _ in progress(done, "measuring", total=len(left), unit="shard"):
                pass
        finally:
            pool.dismiss()


class _Pool:
    """Actors and what each is doing."""

    def __init__(self, ray: Any, assignment: Assignment, crew: Crew) -> None:
        self.ray = ray
        self.assignment = assignment
        self.crew = crew
        self.doing: dict[Any, tuple[Any, Shard | None]] = {}
        self.losses: dict[Shard | None, int] = {}
        told = ray.exceptions
        self.lost = (
            told.RayActorError,
            told.WorkerCrashedError,
            told.NodeDiedError,
            told.OutOfMemoryError,
            told.ObjectLostError,
        )

    def run(self, left: Sequence[Shard], between: Callable[[], None]) -> Iterator[Shard]:
        """Compute shards, in the order in which they get done; call ``between`` while waiting."""
        waiting = deque(left)
        for _ in range(min(self.crew.count, len(left))):
            self._hire()
        done = 0
        while done < len(left):
            found, _ = self.ray.wait(list(self.doing), num_returns=1, timeout=_POLL_SECONDS)
            between()
            if not found:
                continue
            [ready] = found
            actor, shard = self.doing.pop(ready)
            try:
                answer = self.ray.get(ready)
            except self.lost as error:
                self._count_loss(shard, error)
                if shard is not None:
                    waiting.appendleft(shard)
                self._hire()
                continue
            if isinstance(answer, SteppeError | OSError):
                raise answer
            if shard is not None:
                done += 1
                yield shard
            if waiting:
                following = waiting.popleft()
                self.doing[actor.work.remote(following)] = (actor, following)
            else:
                self.ray.kill(actor)

    def dismiss(self) -> None:
        """End every actor."""
        for actor, _ in self.doing.values():
            self.ray.kill(actor)

    def _hire(self) -> None:
        actor = (
            self.ray.remote(Worker)
            .options(num_cpus=self.crew.threads, num_gpus=self.crew.gpus, max_restarts=0)
            .remote(self.assignment)
        )
        self.doing[actor.open.remote()] = (actor, None)

    def _count_loss(self, shard: Shard | None, error: Exception) -> None:
        self.losses[shard] = self.losses.get(shard, 0) + 1
        if self.losses[shard] >= LOSSES_OF_A_SHARD:
            what = "loading the study" if shard is None else f"{shard.dataset}, shard {shard.index}"
            raise RunFailedError(
                f"Ray's workers, {what}",
                got=f"{LOSSES_OF_A_SHARD} of them ended: {_first_line(error)}",
                expected="workers that live; often they ran out of memory",
                fix="ask for fewer workers (--workers ray:2), then give the same command again: "
                "finished shards are kept",
            )


def _import_ray() -> Any:
    # Ray announces a change of how it hides GPUs from actors that ask for none; these use none.
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    if os.environ.get("RAY_ADDRESS") and (Path.home() / ".ray" / "auth_token").exists():
        # `ray start` asks for this token wherever there is one, and a driver does not show it.
        os.environ.setdefault("RAY_AUTH_MODE", "token")
    try:
        import ray
    except ImportError as fault:
        raise MissingExtraError("--workers ray", package="ray", extra="ray") from fault
    return ray


@contextmanager
def _session(ray: Any, workers: Workers) -> Iterator[None]:
    address, place = os.environ.get("RAY_ADDRESS"), None
    try:
        with warnings.catch_warnings(), kept():
            warnings.simplefilter("ignore")
            if address:
                _join(ray, address)
            else:
                # By Ray's own choice workers give way to every other process of the machine.
                os.environ.setdefault("RAY_worker_niceness", "0")
                # The sockets in Ray's folder have short names only if the folder has one.
                place = tempfile.mkdtemp(prefix="steppe-ray-", dir=_IN_PLACE)
                ray.init(
                    num_cpus=max(usable_cpus(), (workers.count or 1) * (workers.threads or 1)),
                    include_dashboard=False,
                    object_store_memory=_OBJECT_STORE_BYTES,
                    _temp_dir=place,
                    **_QUIETLY,
                )
        yield
    finally:
        ray.shutdown()
        if place is not None:
            shutil.rmtree(place, ignore_errors=True)


def _join(ray: Any, address: str) -> None:
    try:
        _check_answers(address)
        ray.init(address=address, **_QUIETLY)
    # Ray tells by these that nobody is there, and that versions differ.
    except (OSError, RuntimeError, ValueError) as error:
        raise InputError(
            "RAY_ADDRESS",
            got=f"{address!r}: {_first_line(error)}",
            expected="host:port, or auto, of a Ray cluster that runs, with the same Ray and Python",
            fix="start it with `ray start`, or unset RAY_ADDRESS to use this machine alone",
        ) from error


def _check_answers(address: str) -> None:
    """Fail at once where nobody answers; Ray itself tries for minutes."""
    found = _ADDRESS.fullmatch(address)
    if found:
        socket.create_connection((found[1].strip("[]"), int(found[2])), _ANSWER_SECONDS).close()
    elif address != "auto":
        raise ValueError("no address")


def _first_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]


def _crew(resources: dict[str, float], workers: Workers, device: str) -> Crew:
    """How many actors, on what: one per GPU, or a share of the CPUs where there is none."""
    gpus, cpus = int(resources.get("GPU", 0)), int(resources.get("CPU", 0))
    on_gpu = device == "cuda" or (device == "auto" and gpus > 0)
    count = workers.count or (gpus if on_gpu else max(1, cpus // _CPUS_PER_ACTOR))
    threads = workers.threads or max(1, cpus // max(count, 1))
    if on_gpu and workers.count is not None:
        count = min(count, gpus)
    fitting = min(cpus // threads, gpus if on_gpu else cpus)
    if count < 1 or fitting < 1:
        raise InputError(
            "--workers ray",
            got=f"a cluster with {cpus} CPUs and {gpus} GPUs",
            expected=f"room for one worker of {threads} CPU threads" + " and a GPU" * on_gpu,
            fix="ask for fewer --threads, another --device, or a larger cluster",
        )
    return Crew(min(count, fitting), threads, int(on_gpu))
