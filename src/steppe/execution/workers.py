"""The processes that compute: this one or Ray's, how many, and with how many threads."""

from __future__ import annotations

import os
import re
from collections.abc import MutableMapping
from dataclasses import dataclass, field
from typing import Literal

from steppe.core.errors import InputError
from steppe.core.parts import Part

_BYTES = re.compile(r"(\d+(?:\.\d+)?) ?([kKmMgGtT])(i?)B")
_TEXT = re.compile(r"(serial|ray)(?::([1-9]\d{0,5}))?")


@dataclass(frozen=True)
class Workers:
    """Who computes the shards.

    Attributes:
        engine: ``serial``: this process, one shard after the other; ``ray``: Ray's actors.
        count: How many actors; None: one per GPU, or one per four CPUs where there is none.
        threads: CPU threads of each; None: torch's own choice, or an equal share of the CPUs.
        part: Which part of the shards.
        memory_budget: Bytes that each may use beyond the weights; None: half of what is free.
    """

    engine: Literal["serial", "ray"] = "serial"
    count: int | None = None
    threads: int | None = None
    part: Part = field(default_factory=Part)
    memory_budget: int | None = None


def workers_of(
    workers: str, shard: str | None, threads: int | None, environment: MutableMapping[str, str]
) -> Workers:
    """Read what the command line says about workers.

    Args:
        workers: ``serial``, ``ray`` or ``ray:<count>``.
        shard: ``index/count``; None: what torchrun says (``RANK``, ``WORLD_SIZE``), or all of it.
        threads: CPU threads per worker; None leaves them open.
        environment: The process's environment. Of the GPUs it may see, a process of torchrun is
            left the one of its ``LOCAL_RANK``, which has to happen before torch is used.

    Raises:
        InputError: Something else stands there, or Ray is asked for in a process of torchrun.
    """
    match = _TEXT.fullmatch(workers)
    if match is None or (match[1] == "serial" and match[2]):
        raise InputError(
            "--workers",
            got=repr(workers),
            expected="serial, ray, or ray:<count>, for instance ray:4",
            fix="leave it out to compute in this process",
        )
    part = Part.parse(shard) if shard is not None else Part.of_torchrun(environment)
    if shard is None and part is not None:
        _choose_gpu(environment)
    engine: Literal["serial", "ray"] = "ray" if match[1] == "ray" else "serial"
    return Workers(engine, int(match[2]) if match[2] else None, threads, part or Part())


def memory_budget_of(text: str | None) -> int | None:
    """Read a memory budget, for instance ``500MB`` or ``4GiB``, as bytes.

    Raises:
        InputError: Something else stands there.
    """
    if text is None:
        return None
    match = _BYTES.fullmatch(text.strip())
    if match is None or float(match[1]) == 0:
        raise InputError(
            "--memory-budget",
            got=repr(text),
            expected="a number and a unit: kB, MB, GB or TB",
            fix="give, for instance, --memory-budget 4GB, or leave it out",
        )
    step = 1024 if match[3] else 1000
    return int(float(match[1]) * step ** (1 + "kmgt".index(match[2].lower())))


def _choose_gpu(environment: MutableMapping[str, str]) -> None:
    """Leave a process of torchrun one GPU, so that `cuda` is another one for each."""
    local_rank = environment.get("LOCAL_RANK", "")
    visible = environment.get("CUDA_VISIBLE_DEVICES")
    if not local_rank.isdigit():
        return
    names = visible.split(",") if visible else []
    if visible is None or not names:
        environment["CUDA_VISIBLE_DEVICES"] = local_rank if visible is None else visible
    elif int(local_rank) < len(names):
        environment["CUDA_VISIBLE_DEVICES"] = names[int(local_rank)]


def usable_cpus() -> int:
    """How many CPUs this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
