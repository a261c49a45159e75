"""How do the studied phenomena grow with training? One row per snapshot of the model.

For each model folder: the mean loss, how far the output moves, whether paths towards real
activations blow up earlier than towards random ones (Giglemiani et al. 2024), and whether KL stays
low for longer around real than around random bases (Heimersheim & Mendel 2024).
"""

from __future__ import annotations

import argparse
import csv
import sys
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

import steppe
from steppe.activations import Gaussian, draw_real_targets, estimate_moments
from steppe.comparisons import ks_statistic
from steppe.core.seeds import stream
from steppe.statistics import crossing_step
from steppe.subject import Subject

KL_CROSSING = 0.5  # nats; Heimersheim & Mendel
SITE = steppe.Site.parse("blocks.1.hook_resid_pre")


@dataclass(frozen=True)
class Phenomena:
    """One model's numbers; steps are of the ``code`` reading, relative paths of 100 points.

    Attributes:
        model: Folder of the model.
        amplification: Mean L2 the output moves at a real target, over the way moved at the site.
        ms_real: Mean max-slope step of L2 towards real targets.
        ms_real_std: Its standard deviation.
        ms_random: The same towards random targets.
        ms_random_std: Its standard deviation.
        ms_ks: KS between the two.
        ms_kl_ks: The same for KL.
        plateau_real: Mean step at which KL crosses 0.5 nats from real bases, towards random ones.
        plateau_random: The same from random bases.
        plateau_ks: KS between the two; curves that never cross count as 100.
    """

    model: str
    amplification: float
    ms_real: float
    ms_real_std: float
    ms_random: float
    ms_random_std: float
    ms_ks: float
    ms_kl_ks: float
    plateau_real: float
    plateau_random: float
    plateau_ks: float


def measure(folder: Path, prompts: str | None, samples: int, seed: int) -> Phenomena:
    """Measure one model."""
    subject = steppe.load_subject(folder)
    tokens = steppe.load_prompts(prompts or "demo", subject, length=10, limit=20_000).tokens
    pool = steppe.read_residuals(subject, tokens, SITE)
    chosen = stream(seed, "base_prompts").permutation(len(tokens))[:samples]
    base = pool[torch.from_numpy(chosen)]
    gaussian = Gaussian.from_moments(estimate_moments(pool))
    real = draw_real_targets(base, pool, _generators(seed, "real_target", samples)).targets
    random = gaussian.draw(_generators(seed, "random_target", samples))
    end = gaussian.draw(_generators(seed, "plateau_end", samples))
    curves = {
        name: _curves(subject, tokens[chosen], start, target)
        for name, start, target in [
            ("real", base, real),
            ("random", base, random),
            ("around_real", base, end),
            ("around_random", random, end),
        ]
    }
    slopes = {
        (name, readout): steppe.statistics.max_slope_step(curves[name][readout])
        for name in ("real", "random")
        for readout in ("l2", "kl")
    }
    plateaus = {name: _crossing(curves[f"around_{name}"]["kl"]) for name in ("real", "random")}
    moved = curves["real"]["l2"][:, -1] / (real - base).norm(dim=1).numpy()
    return Phenomena(
        model=folder.name,
        amplification=float(moved.mean()),
        ms_real=float(slopes["real", "l2"].mean()),
        ms_real_std=float(slopes["real", "l2"].std()),
        ms_random=float(slopes["random", "l2"].mean()),
        ms_random_std=float(slopes["random", "l2"].std()),
        ms_ks=ks_statistic(slopes["random", "l2"], slopes["real", "l2"]),
        ms_kl_ks=ks_statistic(slopes["random", "kl"], slopes["real", "kl"]),
        plateau_real=float(plateaus["real"].mean()),
        plateau_random=float(plateaus["random"].mean()),
        plateau_ks=ks_statistic(plateaus["random"], plateaus["real"]),
    )


def _generators(seed: int, name: str, samples: int) -> list[np.random.Generator]:
    return [stream(seed, name, sample) for sample in range(samples)]


def _curves(
    subject: Subject, tokens: NDArray[np.int64], base: torch.Tensor, target: torch.Tensor
) -> dict[str, NDArray[np.float32]]:
    points = steppe.paths.relative(base, target)
    found = steppe.readouts.measure(subject, tokens, SITE, points, ["l2", "kl"])
    return {name: found[name].values for name in ("l2", "kl")}


def _crossing(kl: NDArray[np.float32]) -> NDArray[np.float64]:
    return np.nan_to_num(crossing_step(kl, KL_CROSSING), nan=100.0)


def main() -> None:
    """Print a CSV row per model folder."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("models", type=Path, nargs="+", help="model folders, oldest first")
    parser.add_argument("--prompts", help="as for steppe; by default the bundled ones")
    parser.add_argument("--samples", type=int, default=300)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    writer = csv.DictWriter(sys.stdout, fieldnames=list(Phenomena.__dataclass_fields__))
    writer.writeheader()
    for folder in options.models:
        row = asdict(measure(folder, options.prompts, options.samples, options.seed))
        writer.writerow({k: round(v, 3) if isinstance(v, float) else v for k, v in row.items()})
        sys.stdout.flush()


if __name__ == "__main__":
    main()
