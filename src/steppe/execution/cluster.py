"""A Ray cluster for one run: joined where it runs, or started here and ended after the run."""

from __future__ import annotations

import os
import re
import socket
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

from steppe.core.errors import InputError, MissingExtraError
from steppe.execution.signals import kept
from steppe.execution.workers import Workers, usable_cpus

_CPUS_PER_ACTOR = 4
_OBJECT_STORE_BYTES = 100_000_000
_ADDRESS = re.compile(r"(?:ray://)?(\[[^\]]+\]|[^:/\s]+):(\d{1,5})")


@dataclass(frozen=True)
class Crew:
    """How many actors there may be, and how many CPU threads and GPUs each has."""

    count: int
    threads: int
    gpus: int


@contextmanager
def started(workers: Workers, device: str) -> Iterator[Crew]:
    """Join the cluster at ``RAY_ADDRESS``, or start Ray on this machine; leave it afterwards.

    Raises:
        MissingExtraError: Ray is not installed.
        InputError: No cluster is there, it has no room, or the device cannot be shared out.
    """
    ray = import_ray()
    if device not in {"auto", "cpu", "cuda"}:
        raise InputError(
            "--device with --workers ray",
            got=device,
            expected="auto, cpu or cuda: Ray gives each worker its own device",
            fix="limit the devices with CUDA_VISIBLE_DEVICES instead",
        )
    # The sockets in Ray's folder have short names only if the folder has one.
    place = tempfile.TemporaryDirectory("", "steppe-ray-", "/tmp", ignore_cleanup_errors=True)
    with place as folder:
        try:
            with warnings.catch_warnings(), kept():
                warnings.simplefilter("ignore")
                _join_or_start(ray, workers, folder)
            yield _crew(ray.cluster_resources(), workers, device)
        finally:
            with _core_unheard():
                ray.shutdown()


@contextmanager
def _core_unheard() -> Iterator[None]:
    """Let nobody hear Ray's core, which writes past Python of tasks that leaving ends."""
    try:
        kept = os.dup(2)
    except OSError:  # closed: nobody hears it
        yield
        return
    nowhere = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(nowhere)
        os.close(kept)


def import_ray() -> Any:
    """Import Ray, set up as it is used here (MissingExtraError where it is not installed)."""
    # Ray announces a change of how it hides GPUs from actors that ask for none; these use none.
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    # By Ray's own choice workers give way to every other process of the machine.
    os.environ.setdefault("RAY_worker_niceness", "0")
    if os.environ.get("RAY_ADDRESS") and (Path.home() / ".ray" / "auth_token").exists():
        # `ray start` asks for this token wherever there is one, and a driver does not show it.
        os.environ.setdefault("RAY_AUTH_MODE", "token")
    try:
        return import_module("ray")
    except ImportError as fault:
        raise MissingExtraError("--workers ray", package="ray", extra="ray") from fault


def _join_or_start(ray: Any, workers: Workers, folder: str) -> None:
    quietly: dict[str, Any] = {"log_to_driver": False, "logging_level": "ERROR"}
    address = os.environ.get("RAY_ADDRESS")
    if not address:
        cpus = max(usable_cpus(), (workers.count or 1) * (workers.threads or 1))
        memory = {"object_store_memory": _OBJECT_STORE_BYTES, "_temp_dir": folder}
        ray.init(num_cpus=cpus, include_dashboard=False, **memory, **quietly)
        return
    try:
        found = _ADDRESS.fullmatch(address)
        if found:
            # Fail at once where nobody answers; Ray itself tries for minutes.
            socket.create_connection((found[1].strip("[]"), int(found[2])), timeout=10.0).close()
        elif address != "auto":
            raise ValueError("no address")
        ray.init(address=address, **quietly)
    # Ray tells by these that nobody is there, and that versions differ.
    except (OSError, RuntimeError, ValueError) as error:
        raise InputError(
            "RAY_ADDRESS",
            got=f"{address!r}: {first_line(error)}",
            expected="host:port, or auto, of a Ray cluster that runs, with the same Ray and Python",
            fix="start it with `ray start`, or unset RAY_ADDRESS to use this machine alone",
        ) from error


def first_line(error: Exception) -> str:
    """What an error says, without what follows."""
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
