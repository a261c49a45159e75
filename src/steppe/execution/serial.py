"""Run a study's shards in this process, one after the other."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from time import perf_counter

from steppe.core.errors import RunFailedError
from steppe.core.progress import progress
from steppe.models.devices import is_out_of_memory
from steppe.study.running import Shard, StudyRun


def run_serial(study: StudyRun, left: Sequence[Shard]) -> None:
    """Compute and store shards.

    Args:
        study: The study they belong to.
        left: Which shards.
    """
    for dataset in dict.fromkeys(shard.dataset for shard in left):
        mine = [shard for shard in left if shard.dataset == dataset]
        for shard in progress(mine, f"measuring {dataset}", unit="shard"):
            compute_and_store(study, shard)


def compute_and_store(study: StudyRun, shard: Shard) -> float:
    """Compute one shard and store it; the seconds that computing took."""
    started = perf_counter()
    with telling_of_memory(f"{shard.dataset}, shard {shard.index}"):
        variables = study.compute(shard)
    seconds = perf_counter() - started
    study.folder.write_shard(shard.dataset, shard.index, variables, seconds=seconds)
    return seconds


@contextmanager
def telling_of_memory(place: str) -> Iterator[None]:
    """Say in words that the memory of the machine, or of its device, was not enough.

    Raises:
        RunFailedError: It was not.
    """
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        if not isinstance(error, MemoryError) and not is_out_of_memory(error):
            raise
        raise RunFailedError(
            place,
            got=f"out of memory: {' '.join(str(error).split()) or 'no more could be had'}"[:300],
            expected="enough memory, which other processes may have taken",
            fix="free some, take a device with more or fewer workers, then give the same command "
            "again: finished shards are kept",
        ) from error
