"""What does giglemiani2024 cost on a model of GPT-2 small's size? Time per sample, peak memory.

python benchmarks/study_cost.py                        random weights, SAE and prompts
python benchmarks/study_cost.py --samples 100 --json cost.json
python benchmarks/study_cost.py --points full,adaptive   both, shard by shard in turns
python benchmarks/study_cost.py --clock cpu            CPU seconds, where a machine does other work

Model, SAE and prompts are random: they cost what trained ones do. Samples are timed in the
study's own shards, in two parts of different size, so that the cost can be seen to be linear; what
comes before the first sample (loading, moments, self-check) is timed apart.
"""

from __future__ import annotations

import argparse
import json
import resource
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from transformers import GPT2Config

from random_files import bias_for, random_model, unit_rows, write_prompts, write_sae
from steppe.studies.giglemiani2024.settings import Settings
from steppe.studies.giglemiani2024.study import STUDY
from steppe.study import Context
from steppe.study.part import SHARD_SIZE
from steppe.study.running import Shard, open_context, split

D_MODEL, D_SAE, VOCABULARY, LENGTH = 768, 24_576, 50_257, 10
SITE = "blocks.1.hook_resid_pre"
PAPER_SAMPLES = 1000
Clock = Callable[[], float]
CLOCKS: dict[str, Clock] = {"wall": time.perf_counter, "cpu": time.process_time}


def build(folder: Path, prompts: int) -> dict[str, str]:
    """Write a model, an SAE of which some fifty latents are active, and prompts."""
    random_model(GPT2Config()).save_pretrained(folder / "model")
    random = torch.Generator().manual_seed(0)
    decoder = unit_rows(torch.randn(D_SAE, D_MODEL, generator=random))
    rates = torch.rand(D_SAE, generator=random) * 0.01 + 1e-4
    rows = write_prompts(folder / "prompts.jsonl", prompts, LENGTH, VOCABULARY)
    bias = bias_for(folder / "model", rows, decoder, hook_name=SITE, length=LENGTH)
    sae = write_sae(folder / "sae", decoder, hook_name=SITE, bias=bias, rates=rates)
    return {
        "model": str(folder / "model"),
        "sae": str(sae),
        "prompts": str(rows),
    }


def cost(samples: int, moments: int, engine: str, ways: list[str], clock: Clock) -> dict[str, Any]:
    """Time the two parts of the study on some samples, at all points of a path or at some."""
    before = _peak()
    with tempfile.TemporaryDirectory() as folder:
        files = build(Path(folder), max(2 * moments, 2 * samples))
        started = clock()
        asked = {"samples": samples, "moments_samples": moments, "engine": engine}
        settings = Settings(**files, **asked, accept_sae=True)
        context = open_context(STUDY, settings)
        # Made before the first shard of a run.
        _ = context.moments, context.gaussian
        found: dict[str, Any] = {"before": clock() - started}
        weights = sum(p.nbytes for p in context.model.hf_model.parameters())
        weights += sum(getattr(context.sae, name).nbytes for name in ("W_enc", "W_dec"))
        shards = split("", samples, SHARD_SIZE)
        timed = dict.fromkeys(ways, 0.0)
        for some in (shards[: len(shards) // 3], shards[len(shards) // 3 :]):
            count = sum(len(shard.samples) for shard in some)
            for way, seconds in _in_turns(context, some, ways, clock).items():
                timed[way] += sum(seconds.values())
                found |= {
                    f"{name}, {way}, {count} samples": value for name, value in seconds.items()
                }
            found[f"peak_gb after {count} samples more"] = _peak() / 1e9
    peak = _peak()
    return found | {
        "engine": context.check.engine,
        "threads": torch.get_num_threads(),
        "minutes_for_1000": {
            way: value / samples * PAPER_SAMPLES / 60 for way, value in timed.items()
        },
        "weights_gb": weights / 1e9,
        "peak_gb": peak / 1e9,
        "python_and_libraries_gb": before / 1e9,
        "peak_beyond_both_gb": (peak - weights - before) / 1e9,
    }


def _in_turns(
    context: Context[Any], shards: Sequence[Shard], ways: Sequence[str], clock: Clock
) -> dict[str, dict[str, float]]:
    """Seconds by way and part."""
    seconds: dict[str, dict[str, float]] = {way: {} for way in ways}
    planned = {}
    for way in ways:
        context.settings = context.settings.model_copy(update={"points": way})
        planned[way] = (context.settings, STUDY.plan(context.settings).parts)
    for number, shard in enumerate(shards):
        for index in range(len(planned[ways[0]][1])):
            # What runs first makes the prefixes, for all.
            for way in ways[:: 1 if number % 2 else -1]:
                context.settings, parts = planned[way]
                started = clock()
                parts[index].measure(context, shard.samples)
                took, name = clock() - started, parts[index].name
                seconds[way][name] = seconds[way].get(name, 0.0) + took
    return seconds


def _peak() -> int:
    """Largest memory of this process so far, bytes."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def main() -> None:
    """Time and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--samples", type=int, default=60)
    parser.add_argument("--moments", type=int, default=3200)
    parser.add_argument("--engine", default="auto")
    parser.add_argument("--points", default="full", help="full, adaptive, or both")
    parser.add_argument("--clock", choices=CLOCKS, default="wall")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    ways = options.points.split(",")
    found = cost(options.samples, options.moments, options.engine, ways, CLOCKS[options.clock])
    print(json.dumps(found, indent=2))
    if options.json:
        options.json.write_text(json.dumps(found, indent=2))


if __name__ == "__main__":
    main()
