"""Worlds for the claims of compositions: from the steps of the demo run.

Plateau and max-slope steps of every kind (500 samples, seed 0) are stored beside this file. A
simulated run draws whole samples from them with replacement. The claims are the study's own, so
that effects are those of the demo.

    python -m benchmarks.calibration.compositions runs/compositions-demo      # stores the steps
"""

from __future__ import annotations

import sys
from collections.abc import Collection
from functools import cache
from pathlib import Path
from typing import cast

import numpy as np
import xarray as xr
from benchmarks.calibration.rates import Study, World
from numpy.typing import NDArray

from steppe.core.axes import KIND, SAMPLE
from steppe.store import Run, open_run
from steppe.studies.compositions import study as compositions
from steppe.studies.compositions.claims import (
    BAG,
    GIBBS,
    GREEDY,
    HALF,
    PERMUTED,
    REAL,
    RECONSTRUCTED,
)
from steppe.studies.compositions.settings import KINDS
from steppe.study import Analysis
from steppe.study.verdicts import Decision

STORED = Path(__file__).with_name("compositions_demo.npz")
STEPS = ("plateau_steps", "slope_steps")

# By quantity: the step of each kind and sample.
Numbers = dict[str, NDArray[np.float64]]


def decide(numbers: Numbers, ids: Collection[str]) -> dict[str, Decision]:
    """What these claims say of a run."""
    made = {
        name: xr.DataArray(numbers[name], {KIND: list(KINDS)}, (KIND, SAMPLE)) for name in STEPS
    }
    derived = {name: lambda _run, made=values: made for name, values in made.items()}
    settings = compositions.Settings(bootstrap=500)
    analysis = Analysis(cast(Run, None), settings, derived)
    claims = [claim for claim in compositions.STUDY.claims if claim.id in ids]  # type: ignore[union-attr]
    return {claim.id: claim.decide(claim.values(analysis)) for claim in claims}


@cache
def demo() -> Numbers:
    """The demo run's steps."""
    with np.load(STORED) as stored:
        return {name: stored[name].astype(np.float64) for name in STEPS}


def as_in_the_demo(n: int, generator: np.random.Generator) -> Numbers:
    """Samples drawn whole from the demo run."""
    chosen = generator.integers(demo()[STEPS[0]].shape[1], size=n)
    return {name: values[:, chosen] for name, values in demo().items()}


def kinds_swapped(n: int, generator: np.random.Generator) -> Numbers:
    """Nothing tells kinds apart."""
    made = as_in_the_demo(n, generator)
    return {name: generator.permuted(values, axis=0) for name, values in made.items()}


def others_swapped(n: int, generator: np.random.Generator) -> Numbers:
    """Real activations are apart from all others, which nothing tells apart."""
    made = as_in_the_demo(n, generator)
    steps = made["slope_steps"].copy()
    chosen = [KINDS.index(kind) for kind in (BAG, PERMUTED, RECONSTRUCTED)]
    steps[chosen] = generator.permuted(steps[chosen], axis=0)
    return made | {"slope_steps": steps}


def in_the_middle(n: int, generator: np.random.Generator) -> Numbers:
    """Half of each gap is made up: in half of samples a step is turned over about the middle."""
    made = as_in_the_demo(n, generator)
    steps = made["plateau_steps"].copy()
    # In this order: the second gap ends where the first one's middle has come to lie.
    for kind, ends in ((RECONSTRUCTED, (BAG, REAL)), (HALF, (BAG, RECONSTRUCTED))):
        middle = np.mean([steps[KINDS.index(end)] for end in ends], axis=0)
        place, turned = KINDS.index(kind), generator.random(n) < 0.5
        steps[place] = np.where(turned, 2 * middle - steps[place], steps[place])
    return made | {"plateau_steps": steps}


def as_the_better(n: int, generator: np.random.Generator) -> Numbers:
    """What the demo does not show: greedy draws as Gibbs draws, permuted as reconstructions."""
    made = as_in_the_demo(n, generator)
    found = {name: values.copy() for name, values in made.items()}
    found["plateau_steps"][KINDS.index(GREEDY)] = made["plateau_steps"][KINDS.index(GIBBS)]
    found["slope_steps"][KINDS.index(PERMUTED)] = made["slope_steps"][KINDS.index(RECONSTRUCTED)]
    return found


IDS = tuple(claim.id for claim in compositions.CLAIMS)
SHOWN = tuple(id_ for id_ in IDS if id_ not in ("CO8", "CO12"))
STUDY = Study(
    "compositions",
    {"demo": 500},
    (
        World("kinds swapped", kinds_swapped, null=IDS, quick=40),
        World("others swapped", others_swapped, null=("CO11", "CO12"), quick=40),
        World("in the middle", in_the_middle, null=("CO2", "CO9"), quick=60),
        World("as in the demo", as_in_the_demo, effect=SHOWN, quick=25),
        World("as the better", as_the_better, effect=("CO8", "CO12"), quick=40),
    ),
    {claim.id: claim.statement for claim in compositions.CLAIMS},
    decide,
)


def store(path: Path) -> None:
    """Keep what the claims of a finished demo run are made from beside this file."""
    run = open_run(path)
    analysis = Analysis.of(run, compositions.Settings, compositions.STUDY.derived)
    arrays = {
        name: analysis[name].sel({KIND: list(KINDS)}).transpose(KIND, SAMPLE).values.astype("int16")
        for name in STEPS
    }
    np.savez_compressed(STORED, **arrays)


if __name__ == "__main__":
    store(Path(sys.argv[1]))
