"""How far does bfloat16 move the max-slope step? Curves of the bundled model, both ways.

python benchmarks/half_precision.py --samples 100
"""

from __future__ import annotations

import argparse
import json
from typing import Any

import numpy as np
import torch

from steppe import load_model, load_prompts, read_residuals
from steppe.core.sites import Site
from steppe.metrics import measure
from steppe.paths import absolute, relative
from steppe.statistics import max_slope_step

SITE = Site.parse("blocks.1.hook_resid_pre")
READOUTS = ("l2", "kl")


def compare(samples: int, dtype: str) -> dict[str, Any]:
    """Share of curves whose max-slope step moves by at most one, per mode and metric."""
    models = {name: load_model("demo", dtype=name) for name in ("float32", dtype)}
    prompts = load_prompts("demo", models["float32"], count=2 * samples)
    real = read_residuals(models["float32"], prompts.tokens, SITE)
    base, target = real[:samples], real[samples:]
    paths = {
        "absolute": absolute(base, target, step_size=0.5, reading="code"),
        "relative": relative(base, target, reading="code"),
    }
    found: dict[str, Any] = {"samples": samples}
    for mode, points in paths.items():
        curves = {
            name: measure(model, prompts.tokens[:samples], SITE, points, list(READOUTS))
            for name, model in models.items()
        }
        for metric in READOUTS:
            exact, half = (
                max_slope_step(one[metric].values, reading="text") for one in curves.values()
            )
            defined = ~(np.isnan(exact) | np.isnan(half))
            moved = np.abs(exact - half)[defined]
            found[f"{mode} {metric}"] = {
                "defined": int(defined.sum()),
                "defined in one only": int((np.isnan(exact) != np.isnan(half)).sum()),
                "moved by at most 1": float((moved <= 1).mean()),
                "largest move": float(moved.max()),
                "difference of means": float((half - exact)[defined].mean()),
            }
    return found


def main() -> None:
    """Compare and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--samples", type=int, default=100)
    parser.add_argument("--dtype", default="bfloat16")
    options = parser.parse_args()
    with torch.inference_mode():
        print(json.dumps(compare(options.samples, options.dtype), indent=2))


if __name__ == "__main__":
    main()
