"""Worlds for the claims of shinkle2025: from the numbers of the demo run.

What the demo run's claims are made from (100 pairs of prompts, seed 0) is stored beside this file.
A simulated run draws whole pairs from it with replacement, Jacobians for as large a part of them
as the demo run took. No number of the paper is known to us, so that effects are those of the demo.

    python -m benchmarks.calibration.shinkle2025 runs/shinkle2025-demo       # stores the numbers
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

from steppe.core.axes import KIND, MODE, MOVED, READ, SAMPLE, STEP
from steppe.store import Run, open_run
from steppe.studies.shinkle2025 import study as shinkle2025
from steppe.studies.shinkle2025.measuring import ATTENTION, LOGITS, MLP, MODES, NOTHING, POST
from steppe.study import Analysis
from steppe.study.verdicts import Decision

STORED = Path(__file__).with_name("shinkle2025_demo.npz")
# After block 1, after the last block, of the logits.
READS = (POST.format(1), POST.format(2), LOGITS)
KINDS = (NOTHING, ATTENTION, MLP)
DISTANCE = "jacobians/relative_distance"

# By quantity: ``depth`` (read, sample), ``frozen`` and ``untrained`` (kind, sample), ``norms`` of
# the MLPs and ``distance`` (sample of Jacobians, step).
Numbers = dict[str, NDArray[np.float64]]


def decide(numbers: Numbers, ids: Collection[str]) -> dict[str, Decision]:
    """What these claims say of a run."""
    labels = {MOVED: [0], MODE: [MODES[0]], READ: list(READS)}
    made = {
        "depth_widths": xr.DataArray(
            numbers["depth"][None, None], labels, (MOVED, MODE, READ, SAMPLE)
        ),
        "frozen_widths": xr.DataArray(numbers["frozen"], {KIND: list(KINDS)}, (KIND, SAMPLE)),
        "untrained_widths": xr.DataArray(numbers["untrained"], {KIND: list(KINDS)}, (KIND, SAMPLE)),
        "jacobians_over_mean": xr.DataArray(
            numbers["norms"][None], {KIND: ["mlp"]}, (KIND, SAMPLE, STEP)
        ),
        DISTANCE: xr.DataArray(numbers["distance"], dims=(SAMPLE, STEP)),
    }
    derived = {name: lambda _run, made=values: made for name, values in made.items()}
    analysis = Analysis(cast(Run, None), None, derived)
    claims = [claim for claim in shinkle2025.STUDY.claims if claim.id in ids]
    return {claim.id: claim.decide(claim.values(analysis)) for claim in claims}


@cache
def demo() -> Numbers:
    """The demo run's numbers."""
    with np.load(STORED) as stored:
        return {name: stored[name].astype(np.float64) for name in stored.files}


def as_in_the_demo(n: int, generator: np.random.Generator) -> Numbers:
    """Pairs drawn whole from the demo run."""
    found = demo()
    every, some = found["depth"].shape[1], len(found["norms"])
    chosen = generator.integers(every, size=n)
    jacobians = generator.integers(some, size=max(2, n * some // every))
    curves = {name: found[name][jacobians] for name in ("norms", "distance")}
    return {name: found[name][:, chosen] for name in ("depth", "frozen", "untrained")} | curves


def parts_swapped(n: int, generator: np.random.Generator) -> Numbers:
    """Nothing tells apart what is frozen."""
    made = as_in_the_demo(n, generator)
    return made | {"frozen": generator.permuted(made["frozen"], axis=0)}


def depths_swapped(n: int, generator: np.random.Generator) -> Numbers:
    """Nothing tells blocks apart."""
    made = as_in_the_demo(n, generator)
    return made | {"depth": generator.permuted(made["depth"], axis=0)}


def weights_swapped(n: int, generator: np.random.Generator) -> Numbers:
    """Nothing tells trained from random weights."""
    made = as_in_the_demo(n, generator)
    swapped = generator.random(n) < 0.5
    names = ("frozen", "untrained")
    return made | {
        name: np.where(swapped, made[other], made[name])
        for name, other in zip(names, names[::-1], strict=True)
    }


def norms_reflected(n: int, generator: np.random.Generator) -> Numbers:
    """The MLPs' norms are as often as far below their mean as they are above."""
    made = as_in_the_demo(n, generator)
    reflected = generator.random(len(made["norms"])) < 0.5
    return made | {"norms": np.where(reflected[:, None], 2 - made["norms"], made["norms"])}


STUDY = Study(
    "shinkle2025",
    {"demo": 100},
    (
        World("parts swapped", parts_swapped, null=("SH2", "SH3"), quick=600),
        World("depths swapped", depths_swapped, null=("SH1",)),
        World("weights swapped", weights_swapped, null=("SH5",)),
        World("norms reflected", norms_reflected, null=("SH4",)),
        World("as in the demo", as_in_the_demo, effect=("SH1", "SH2", "SH3", "SH4", "SH5")),
    ),
    {claim.id: claim.statement for claim in shinkle2025.STUDY.claims},
    decide,
)


def store(path: Path) -> None:
    """Keep what the claims of a finished demo run are made from beside this file."""
    run = open_run(path)
    analysis = Analysis.of(run, shinkle2025.STUDY.settings, shinkle2025.STUDY.derived)
    depth = analysis["depth_widths"].sel({MOVED: 0, MODE: MODES[0]})
    last = [str(read) for read in depth[READ].values][-2]
    norms = analysis["jacobians_over_mean"].sel({KIND: "mlp"})
    kept = {
        "depth": depth.sel({READ: [READS[0], last, LOGITS]}).transpose(READ, SAMPLE),
        "frozen": analysis["frozen_widths"].transpose(KIND, SAMPLE),
        "untrained": analysis["untrained_widths"].transpose(KIND, SAMPLE),
        "norms": norms.transpose(SAMPLE, STEP),
        "distance": analysis[DISTANCE].transpose(SAMPLE, STEP),
    }
    arrays = {name: values.values.astype(np.float32) for name, values in kept.items()}
    np.savez_compressed(STORED, **arrays)  # type: ignore[arg-type]


if __name__ == "__main__":
    store(Path(sys.argv[1]))
