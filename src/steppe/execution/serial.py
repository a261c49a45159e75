"""Run a study's shards in this process, one after the other."""

from __future__ import annotations

from collections.abc import Sequence
from time import perf_counter

from steppe.core.progress import progress
from steppe.recipes.study import Shard, Study


def run_serial(study: Study, left: Sequence[Shard]) -> None:
    """Compute and store shards.

    Args:
        study: The study they belong to.
        left: Which shards.
    """
    for dataset in dict.fromkeys(shard.dataset for shard in left):
        mine = [shard for shard in left if shard.dataset == dataset]
        for shard in progress(mine, f"measuring {dataset}", unit="shard"):
            compute_and_store(study, shard)


def compute_and_store(study: Study, shard: Shard) -> float:
    """Compute one shard and store it; the seconds that computing took."""
    started = perf_counter()
    variables = study.compute(shard)
    seconds = perf_counter() - started
    study.folder.write_shard(shard.dataset, shard.index, variables, seconds=seconds)
    return seconds
