"""How do the studied phenomena grow with training? One row per snapshot of the model.

For each model folder: the mean loss, how far the output moves, whether paths towards real
activations blow up earlier than towards random ones (Giglemiani et al. 2024), and whether KL stays
low for longer around real than around random bases (Heimersheim & Mendel 2024).
"""

from __future__ import annotations

import argparse
import csv
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

import steppe
from steppe.activations import Gaussian, draw_real_targets, estimate_moments
from steppe.comparisons import as_ranked, censored_median, ks_statistic
from steppe.core.seeds import stream
from steppe.models import Model
from steppe.statistics import crossing_step, is_censored, max_slope_step

KL_CROSSING = 0.5  # nats; Heimersheim & Mendel
MIN_SLOPE = 0.02  # a step; the authors' least slope
SITE = steppe.Site.parse("blocks.1.hook_resid_pre")


@dataclass(frozen=True)
class Phenomena:
    """One model's numbers, on relative paths of the ``code`` reading's 100 points.

    Max-slope steps are of the ``text`` reading with the ``code`` reading's least slope: a curve
    that rises nowhere by more than 0.02 a step has none. It is counted, and left out of mean,
    deviation and KS. A curve whose KL never crosses 0.5 nats is censored: it is counted, and comes
    later than any other in medians and KS, which so is the largest distance between the
    distributions of crossings along the path.

    Attributes:
        model: Folder of the model.
        samples: Base prompts, and so curves of every kind.
        amplification: Mean L2 the output moves at a real target, over the way moved at the site.
        ms_real: Mean max-slope step of L2 towards real targets.
        ms_real_std: Its standard deviation.
        ms_real_none: Curves that have none.
        ms_random: The same towards random targets.
        ms_random_std: Its standard deviation.
        ms_random_none: Curves that have none.
        ms_ks: KS between the two.
        ms_kl_ks: The same for KL.
        ms_kl_none: Curves without a step of KL, of both kinds.
        plateau_real: Median step at which KL crosses 0.5 nats from real bases, towards random
            targets; NaN where half never cross.
        plateau_real_never: Curves that never cross.
        plateau_random: The same from random bases.
        plateau_random_never: Curves that never cross.
        plateau_ks: KS between the two.
    """

    model: str
    samples: int
    amplification: float
    ms_real: float
    ms_real_std: float
    ms_real_none: int
    ms_random: float
    ms_random_std: float
    ms_random_none: int
    ms_ks: float
    ms_kl_ks: float
    ms_kl_none: int
    plateau_real: float
    plateau_real_never: int
    plateau_random: float
    plateau_random_never: int
    plateau_ks: float


def measure(folder: Path, prompts: str | None, samples: int, seed: int) -> Phenomena:
    """Measure one model, on so many base prompts or on as many as there are."""
    model = steppe.load_model(folder)
    tokens = steppe.load_prompts(prompts or "demo", model, length=10, limit=20_000).tokens
    pool = steppe.read_residuals(model, tokens, SITE)
    chosen = stream(seed, "base_prompts").permutation(len(tokens))[:samples]
    samples = len(chosen)
    base = pool[torch.from_numpy(chosen)]
    gaussian = Gaussian.from_moments(estimate_moments(pool))
    real = draw_real_targets(base, pool, _generators(seed, "real_target", samples)).targets
    random = gaussian.draw(_generators(seed, "random_target", samples))
    end = gaussian.draw(_generators(seed, "plateau_end", samples))
    curves = {
        name: _curves(model, tokens[chosen], start, target)
        for name, start, target in [
            ("real", base, real),
            ("random", base, random),
            ("around_real", base, end),
            ("around_random", random, end),
        ]
    }
    moved = curves["real"]["l2"][:, -1] / (real - base).norm(dim=1).numpy()
    return Phenomena(
        model=folder.name,
        samples=samples,
        amplification=float(moved.mean()),
        **_blowups({name: curves[name] for name in ("real", "random")}),
        **_plateaus({name: curves[f"around_{name}"]["kl"] for name in ("real", "random")}),
    )


def _blowups(curves: Mapping[str, Mapping[str, NDArray[np.float32]]]) -> dict[str, Any]:
    """Everything of max-slope steps, from curves by kind and metric, each (sample, step)."""
    found: dict[str, Any] = {}
    l2, kl = (
        {
            kind: max_slope_step(curves[kind][metric], "text", min_slope=MIN_SLOPE)
            for kind in ("real", "random")
        }
        for metric in ("l2", "kl")
    )
    for kind, steps in l2.items():
        defined = steps[~np.isnan(steps)]
        found[f"ms_{kind}"] = float(defined.mean()) if len(defined) else np.nan
        found[f"ms_{kind}_std"] = float(defined.std()) if len(defined) else np.nan
        found[f"ms_{kind}_none"] = len(steps) - len(defined)
    return found | {
        "ms_ks": ks_statistic(l2["random"], l2["real"]),
        "ms_kl_ks": ks_statistic(kl["random"], kl["real"]),
        "ms_kl_none": sum(int(np.isnan(steps).sum()) for steps in kl.values()),
    }


def _plateaus(kl: Mapping[str, NDArray[np.float32]]) -> dict[str, Any]:
    """Everything of plateaus, from KL around bases of each kind, each (sample, step)."""
    found: dict[str, Any] = {}
    crossings = {}
    for kind, curves in kl.items():
        never = is_censored(curves, KL_CROSSING)
        crossings[kind] = as_ranked(crossing_step(curves, KL_CROSSING), never)
        found[f"plateau_{kind}"] = censored_median(crossings[kind])
        found[f"plateau_{kind}_never"] = int(never.sum())
    return found | {"plateau_ks": ks_statistic(crossings["random"], crossings["real"])}


def _generators(seed: int, name: str, samples: int) -> list[np.random.Generator]:
    return [stream(seed, name, sample) for sample in range(samples)]


def _curves(
    model: Model, tokens: NDArray[np.int64], base: torch.Tensor, target: torch.Tensor
) -> dict[str, NDArray[np.float32]]:
    points = steppe.paths.relative(base, target)
    found = steppe.metrics.measure(model, tokens, SITE, points, ["l2", "kl"])
    return {name: found[name].values for name in ("l2", "kl")}


def main(arguments: Sequence[str] | None = None) -> None:
    """Print a CSV row per model folder."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("models", type=Path, nargs="+", help="model folders, oldest first")
    parser.add_argument("--prompts", help="as for steppe; by default the bundled ones")
    parser.add_argument("--samples", type=int, default=300)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args(arguments)
    writer = csv.DictWriter(sys.stdout, fieldnames=list(Phenomena.__dataclass_fields__))
    writer.writeheader()
    for folder in options.models:
        row = asdict(measure(folder, options.prompts, options.samples, options.seed))
        writer.writerow({k: round(v, 3) if isinstance(v, float) else v for k, v in row.items()})
        sys.stdout.flush()


if __name__ == "__main__":
    main()
