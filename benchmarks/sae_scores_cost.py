"""Time and memory of all 24,576 latents of an SAE on a model of GPT-2 small's shape, from a part.

python benchmarks/sae_scores_cost.py            random weights; a few minutes

Some latents are measured in some prompts, before block 6. With random weights few paths reach the
level, and a search that finds nothing takes fewer points; so the time of a point is taken, and the
number of points of a path from the bundled model, where paths do reach it. Time is that of all
threads together, so that work beside it does not count.
"""

from __future__ import annotations

import argparse
import json
import resource
import tempfile
import time
from multiprocessing import Process
from pathlib import Path
from typing import Any

import torch
from transformers import GPT2Config, GPT2LMHeadModel

from random_files import bias_for, unit_rows, write_prompts, write_sae
from steppe.propagation.counting import counted_points
from steppe.studies.sae_scores.latents import measure_latents
from steppe.studies.sae_scores.settings import Settings
from steppe.studies.sae_scores.study import STUDY
from steppe.study import Context
from steppe.study.running import open_context

LATENTS, PROMPTS, SITE = 24_576, 9, "blocks.6.hook_resid_pre"


def opened(folder: Path | None, prompts: int) -> Context[Settings]:
    """A study of the random model, or of the bundled one where there is no folder."""
    asked: dict[str, Any] = {"latent_prompts": prompts, "samples": max(prompts, 2)}
    if folder is not None:
        asked |= {
            "model": str(folder / "model"), "saes": [str(folder / "sae")], "moments_samples": 2000,
            "prompts": str(folder / "prompts.jsonl"), "accept_sae": True, "scale": 1.0,
        }  # fmt: skip
    return open_context(STUDY, Settings.model_validate({"study": "sae_scores", **asked}))


def write_files(folder: Path) -> None:
    """GPT-2 small's architecture with random weights, token rows, and an SAE before block 6."""
    torch.manual_seed(0)
    GPT2LMHeadModel(GPT2Config()).save_pretrained(folder / "model")
    rows = write_prompts(folder / "prompts.jsonl", 120, 128, 50_000, bos=50_256)
    decoder = unit_rows(torch.randn(LATENTS, 768))
    bias = bias_for(folder / "model", rows, decoder, hook_name=SITE, length=128)
    write_sae(folder / "sae", decoder, hook_name=SITE, bias=bias)


def measured(context: Context[Settings], latents: int) -> tuple[float, float]:
    """CPU seconds of a point, and points of a latent in one prompt, of latents not yet seen."""
    measure_latents(context, range(8))
    with counted_points() as points:
        started = time.process_time()
        measure_latents(context, range(8, 8 + latents))
        seconds = time.process_time() - started
    prompts = context.settings.latent_prompts
    return seconds / points.count, points.count / (latents * prompts)


def main() -> None:
    """Measure, and print what follows."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])  # type: ignore[union-attr]
    parser.add_argument("--latents", type=int, default=128)
    parser.add_argument("--prompts", type=int, default=2)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        # In a process of its own: what it takes is not the study's.
        making = Process(target=write_files, args=(Path(temporary),))
        making.start()
        making.join()
        context = opened(Path(temporary), asked.prompts)
        per_point, _ = measured(context, asked.latents)
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    _, points = measured(opened(None, asked.prompts), asked.latents)
    total = LATENTS * PROMPTS * points
    found = {
        "threads": torch.get_num_threads(),
        "cpu_seconds_per_point": per_point,
        "points_per_latent_and_prompt": points,
        "points_of_all": round(total),
        "core_hours_of_all": total * per_point / 3600,
        "peak_gigabytes_of_the_part": peak,
    }
    print(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
