"""Worlds for the claims of giglemiani2024: from the steps of the demo run, and as published.

The demo run's steps (500 samples, seed 0) are stored beside this file. A simulated run draws whole
samples from them with replacement, so that kinds stay paired, with the ties and the sentinels that
they have; kinds and modes are then swapped at random where nothing is to tell them apart.

    python -m benchmarks.calibration.giglemiani2024 runs/giglemiani2024-demo   # stores the steps
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Collection, Mapping
from functools import cache
from itertools import product
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
from benchmarks.calibration.rates import Study, World
from numpy.typing import NDArray
from scipy.special import ndtri

from steppe.comparisons import Resamples, ks_error, ks_statistic
from steppe.store import open_run
from steppe.studies.giglemiani2024.claims import CLAIMS, REAL, places_of, table_of
from steppe.studies.giglemiani2024.numbers import ALIKE, Floats, Place
from steppe.studies.giglemiani2024.outputs import PLATEAU_OUTPUT, STEP_TABLES
from steppe.studies.giglemiani2024.steps import published_values
from steppe.studies.giglemiani2024.study import STUDY as DATA
from steppe.study import Analysis, Claim
from steppe.study.verdicts import Decision

STORED = Path(__file__).with_name("giglemiani2024_demo.npz")
# Draws behind a test of likeness here; the tool takes 2,000.
DRAWS = 400
# Samples of the demo run.
_SAMPLES = 500
RECONSTRUCTED = ("absolute", "sae_reconstruction")
# Claims whose number is a share: its table, and the first step within.
SHARES = {"G5": ("table_a1", 30), "G18": ("table_c1", 40)}
LIKENESS = "G20"

# table -> (mode or context, kind) -> (sample,) steps.
Data = dict[str, dict[Place, Floats]]
Row = Mapping[str, Any]


def decide(data: Data, ids: Collection[str], draws: int = DRAWS) -> dict[str, Decision]:
    """What these claims say of a run."""
    found = {}
    for claim in CLAIMS:
        if claim.id in ids:
            steps = {place: data[table_of(claim)][place] for place in places_of(claim)}
            drawn = Resamples(len(next(iter(steps.values()))), draws, 0)
            # The first try of an interval's end decides; where it is, nobody asks here.
            with patch.object(ks_error, "_HALVINGS", 1):
                found[claim.id] = claim.decide((steps, drawn))
    return found


@cache
def demo() -> Data:
    """The demo run's steps."""
    data: Data = {}
    with np.load(STORED) as stored:
        for name, values in stored.items():
            table, group, kind = name.split("/")
            data.setdefault(table, {})[group, kind] = values.astype(np.float64)
    return data


def resampled(n: int, generator: np.random.Generator, source: Data | None = None) -> Data:
    """A run of ``n`` samples drawn whole from the demo run."""
    source = source or demo()
    chosen = generator.integers(_SAMPLES, size=n)
    return {
        table: {place: values[chosen] for place, values in steps.items()}
        for table, steps in source.items()
    }


def exchangeable(n: int, generator: np.random.Generator) -> Data:
    """Nothing tells kinds, modes or contexts apart."""
    return _shuffled(resampled(n, generator), generator, keep=())


def apart_from_real(n: int, generator: np.random.Generator) -> Data:
    """Kinds differ from real as in the demo run, but not from each other, nor between modes."""
    return _shuffled(resampled(n, generator), generator, keep=(REAL,))


def one_half(n: int, generator: np.random.Generator) -> Data:
    """Every step lies within the bounds of a share, or below, with the same chance."""
    data: Data = {}
    for table, low in SHARES.values():
        values = demo()[table]["relative", REAL]
        inside = generator.choice(values[(values >= low) & (values <= low + 40)], n)
        below = generator.random(n) < 0.5
        data[table] = {("relative", REAL): np.where(below, low - 1, inside)}
    return data


def at_the_margin(n: int, generator: np.random.Generator) -> Data:
    """Reconstructions are just so far from real that likeness is neither true nor false."""
    table = "table_d1"
    steps = resampled(n, generator, {table: _moved_to_the_margin()})[table]
    return {table: {place: steps[place] for place in (("absolute", REAL), RECONSTRUCTED)}}


def as_in_the_demo(n: int, generator: np.random.Generator) -> Data:
    """The demo run's own differences."""
    return resampled(n, generator)


def as_published(n: int, generator: np.random.Generator) -> Data:
    """Means and standard deviations as published, kinds correlated as in the demo run."""
    return _with_margins(n, generator, lambda row, _: (row["mean"], row["std"]))


def as_far_as_published(n: int, generator: np.random.Generator) -> Data:
    """KS distances to real as published, kinds correlated as in the demo run."""

    def margin(row: Row, real: Row) -> tuple[float, float]:
        # Two normal distributions of one spread are so far apart.
        shift = 2 * float(ndtri((1 + row["ks"]) / 2))
        return real["mean"] + shift * real["std"], real["std"]

    return _with_margins(n, generator, margin)


def _shuffled(data: Data, generator: np.random.Generator, keep: tuple[str, ...]) -> Data:
    """Kinds permuted within every sample and mode, then modes swapped within every sample."""
    made: Data = {}
    for table, steps in data.items():
        groups = list(dict.fromkeys(group for group, _ in steps))
        kinds = list(dict.fromkeys(kind for _, kind in steps))
        values = np.array([[steps[group, kind] for kind in kinds] for group in groups])
        moved = [index for index, kind in enumerate(kinds) if kind not in keep]
        values[:, moved] = generator.permuted(values[:, moved], axis=1)
        swapped = generator.random(values.shape[-1]) < 0.5
        values[..., swapped] = values[::-1][..., swapped]
        made[table] = {
            (group, kind): values[i, j]
            for i, group in enumerate(groups)
            for j, kind in enumerate(kinds)
        }
    return made


@cache
def _moved_to_the_margin() -> dict[Place, Floats]:
    steps = dict(demo()["table_d1"])
    real, made = steps["absolute", REAL], steps[RECONSTRUCTED].copy()
    for sample in np.random.default_rng(0).permutation(len(made)):
        if ks_statistic(made, real) >= ALIKE - 1e-9:
            break
        made[sample] += 10
    return {**steps, RECONSTRUCTED: made}


def _with_margins(
    n: int, generator: np.random.Generator, margin: Callable[[Row, Row], tuple[float, float]]
) -> Data:
    """A run with normal steps in whole numbers, of the demo run's rank correlations."""
    chosen = generator.integers(_SAMPLES, size=n)
    data: Data = {}
    for (table, group, kind), row in _published().items():
        mean, deviation = margin(row, _published()[table, group, REAL])
        ranks = _ranks(table, (group, kind))[chosen]
        scores = ndtri((ranks + generator.random(n)) / _SAMPLES)
        steps = np.clip((mean + deviation * scores).round(), 0, 99)
        data.setdefault(table, {})[group, kind] = steps
    return data


@cache
def _ranks(table: str, place: Place) -> NDArray[np.int64]:
    """Where each of the demo run's steps is among them; equal ones are told apart at random."""
    steps = demo()[table][place]
    order = np.lexsort([np.random.default_rng(0).random(len(steps)), steps])
    return order.argsort()


@cache
def _published() -> dict[tuple[str, str, str], Row]:
    rows = published_values().to_dict(orient="records")
    return {(row["table"], row["mode"], row["kind"]): row for row in rows}


def _ids(wanted: Callable[[Claim], bool]) -> tuple[str, ...]:
    return tuple(claim.id for claim in CLAIMS if wanted(claim))


_KS = _ids(lambda claim: claim.quantity.startswith("KS to real"))
_GAPS = _ids(lambda claim: claim.id not in (*_KS, *SHARES, LIKENESS))
_AMONG_OTHERS = _ids(lambda claim: all(kind != REAL for _, kind in places_of(claim)))
# Not published in numbers.
_UNPUBLISHED = ("G22n", "G23n")

STUDY = Study(
    "giglemiani2024",
    {"demo": 500, "paper": 1000},
    (
        World("exchangeable", exchangeable, null=_GAPS),
        World("exchangeable, distances", exchangeable, null=_KS, quick=40),
        World("apart from real", apart_from_real, null=_AMONG_OTHERS),
        World("apart from real, distances", apart_from_real, null=_KS, quick=40),
        World("one half", one_half, null=tuple(SHARES)),
        World("at the margin", at_the_margin, null=(LIKENESS,)),
        World(
            "as published",
            as_published,
            effect=_ids(lambda c: c.id not in (*_KS, LIKENESS, *_UNPUBLISHED)),
        ),
        World("as far as published", as_far_as_published, effect=(*_KS, LIKENESS), quick=40),
        World("as in the demo", as_in_the_demo, effect=_UNPUBLISHED),
    ),
    {claim.id: claim.statement for claim in CLAIMS},
    decide,
)


def store(path: Path) -> None:
    """Keep the steps of a finished demo run beside this file."""
    analysis = Analysis.of(open_run(path), DATA.settings, DATA.derived)
    kept = {}
    for name in (*(table.name for table in STEP_TABLES), PLATEAU_OUTPUT):
        table = analysis[name]
        axis = "context" if "context" in table.dims else "mode"
        for group, kind in product(table[axis].values, table["kind"].values):
            values = table.sel({axis: group, "kind": kind}).values
            kept[f"{name}/{group}/{kind}"] = values.astype(np.uint8)
    np.savez_compressed(STORED, **kept)


if __name__ == "__main__":
    store(Path(sys.argv[1]))
