"""Worlds for the claims of janiak2024: from the curves of the demo run.

The demo run's curves (100 prompts, seed 0; L2 after the final norm, straight paths) are stored
beside this file. A simulated run draws whole prompts from them with replacement. No number of the
paper is known to us, so that effects are those of the demo run.

    python -m benchmarks.calibration.janiak2024 runs/janiak2024-demo       # stores the curves
"""

from __future__ import annotations

import sys
from collections.abc import Collection
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import cast

import numpy as np
import xarray as xr
from benchmarks.calibration.rates import Study, World
from numpy.typing import NDArray

from steppe.core.axes import KIND, MODE, SAMPLE, STEP
from steppe.statistics import sharpness
from steppe.store import Run, open_run
from steppe.studies.janiak2024 import study as janiak2024
from steppe.studies.janiak2024.study import AFTER_NORM, NEXT, ONE_CHANGED, SAME_TOKEN, SHARP
from steppe.study import Analysis
from steppe.study.verdicts import Decision

STORED = Path(__file__).with_name("janiak2024_demo.npz")
KINDS = (NEXT, SAME_TOKEN, ONE_CHANGED)
# Share of prompts of which all targets are one and the same, where kinds are swapped.
TIED = 0.2

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Curves:
    """A run's curves.

    Attributes:
        trained: ``(kind, sample, step)`` of `KINDS`; NaN where there is no such target.
        untrained: The same with random weights, of the first kind.
    """

    trained: Floats
    untrained: Floats

    def datasets(self) -> list[str]:
        """As a run has them."""
        return ["interpolations", "untrained"]

    def dataset(self, name: str) -> xr.Dataset:
        """As a run has them."""
        curves = self.trained if name == "interpolations" else self.untrained
        return _layout(*curves.shape).copy(data={AFTER_NORM: curves[:, None]})


@cache
def _layout(kinds: int, *shape: int) -> xr.Dataset:
    """A dataset of so many kinds, samples and steps."""
    dims, labels = (KIND, MODE, SAMPLE, STEP), {KIND: list(KINDS[:kinds]), MODE: ["linear"]}
    return xr.Dataset({AFTER_NORM: (dims, np.empty((kinds, 1, *shape)))}, coords=labels)


def decide(curves: Curves, ids: Collection[str]) -> dict[str, Decision]:
    """What these claims say of a run."""
    analysis = Analysis(cast(Run, curves), None, janiak2024.STUDY.derived)
    claims = [claim for claim in janiak2024.STUDY.claims if claim.id in ids]
    return {claim.id: claim.decide(claim.values(analysis)) for claim in claims}


@cache
def demo() -> Curves:
    """The demo run's curves."""
    with np.load(STORED) as stored:
        return Curves(*(stored[name].astype(np.float64) for name in ("trained", "untrained")))


def as_in_the_demo(n: int, generator: np.random.Generator) -> Curves:
    """Prompts drawn whole from the demo run."""
    chosen = generator.integers(demo().trained.shape[1], size=n)
    return Curves(demo().trained[:, chosen], demo().untrained[:, chosen])


def kinds_swapped(n: int, generator: np.random.Generator) -> Curves:
    """Nothing tells the kinds of target apart, and some prompts have but one."""
    made = as_in_the_demo(n, generator)
    order = generator.permuted(np.tile(np.arange(len(KINDS)), (n, 1)), axis=1).T
    order[:, generator.random(n) < TIED] = 0
    return Curves(made.trained[order, np.arange(n)], made.untrained)


def weights_swapped(n: int, generator: np.random.Generator) -> Curves:
    """Nothing tells trained from random weights."""
    made = as_in_the_demo(n, generator)
    swapped = generator.random((n, 1)) < 0.5
    first, second = made.trained[0], made.untrained[0]
    trained, untrained = np.where(swapped, second, first), np.where(swapped, first, second)
    return Curves(trained[None].repeat(len(KINDS), axis=0), untrained[None])


def half_sharp(n: int, generator: np.random.Generator) -> Curves:
    """Every prompt has a sharp step or a straight line, with the same chance."""
    curves = demo().trained[:1]
    curves = curves[:, sharpness(curves[0]) > SHARP]
    made = curves[:, generator.integers(curves.shape[1], size=n)]
    straight = np.linspace(0, made[..., -1], made.shape[-1], axis=-1)
    trained = np.where(generator.random((n, 1)) < 0.5, made, straight)
    return Curves(trained.repeat(len(KINDS), axis=0), as_in_the_demo(n, generator).untrained)


STUDY = Study(
    "janiak2024",
    {"demo": 100, "authors' older code": 1000},
    (
        World("kinds swapped", kinds_swapped, null=("JA3", "JA4"), quick=1000),
        World("weights swapped", weights_swapped, null=("JA2",)),
        World("half sharp", half_sharp, null=("JA1",)),
        World("as in the demo", as_in_the_demo, effect=("JA1", "JA2", "JA3", "JA4")),
    ),
    {claim.id: claim.statement for claim in janiak2024.STUDY.claims},
    decide,
)


def store(path: Path) -> None:
    """Keep the curves of a finished demo run beside this file."""
    run = open_run(path)
    kept = {}
    for name, dataset, kinds in (
        ("trained", "interpolations", KINDS),
        ("untrained", "untrained", KINDS[:1]),
    ):
        curves = run.dataset(dataset)[AFTER_NORM].sel({MODE: "linear", KIND: list(kinds)})
        kept[name] = curves.transpose(KIND, SAMPLE, STEP).values.astype(np.float32)
    np.savez_compressed(STORED, **kept)


if __name__ == "__main__":
    store(Path(sys.argv[1]))
