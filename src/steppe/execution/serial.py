"""Run a study's shards in this process, one after the other; finished shards are skipped."""

from __future__ import annotations

from time import perf_counter

from steppe.core.progress import progress
from steppe.recipes.study import Study


def run_serial(study: Study) -> None:
    """Compute and store every shard that is not done yet, then write the report."""
    shards = study.shards()
    for dataset in dict.fromkeys(shard.dataset for shard in shards):
        mine = [shard for shard in shards if shard.dataset == dataset]
        left = [shard for shard in mine if not study.folder.is_done(dataset, shard.index)]
        for shard in progress(left, f"measuring {dataset}", unit="shard"):
            started = perf_counter()
            variables = study.compute(shard)
            study.folder.write_shard(
                dataset, shard.index, variables, seconds=perf_counter() - started
            )
    study.report()
