"""What intervals of a KS distance, and of a difference of two, cover where the truth is known."""

from __future__ import annotations

import json
import zlib
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq
from scipy.special import ndtr

from steppe.comparisons import Resamples, Weighted, ks_interval, ks_sum

Floats = NDArray[np.float64]
DISTANCES = (0.02, 0.05, 0.1, 0.2, 0.4, 0.6)
# Two distances of which the second is subtracted; a negative one lies on the other side.
GAPS = (
    (0, 0),
    (0.05, 0.05),
    (0.2, 0.2),
    (0.4, 0.4),
    (0.2, -0.2),
    (0.2, 0.1),
    (0.4, 0.1),
    (0.6, 0.4),
)
SIZES = (100, 500, 1000)
CORRELATIONS = (0.0, 0.5, 0.9, 0.98)
MEAN, SPREAD = 40.0, 10.0
# Draws behind an interval here; the tool takes 2,000.
DRAWS = 400


class Cell(NamedTuple):
    """One truth.

    Attributes:
        distances: One true KS distance to the reference, or two whose difference is sought.
        samples: How many samples.
        correlation: Between every two of the samples' numbers.
        whole: Whether numbers are rounded to whole ones, with many ties.
    """

    distances: tuple[float, ...]
    samples: int
    correlation: float
    whole: bool


class Coverage(NamedTuple):
    """What became of the intervals of a cell.

    Attributes:
        runs: How many there were.
        above: How many lay above the truth.
        below: How many lay below.
        bounds: How many were upper bounds.
    """

    runs: int
    above: int
    below: int
    bounds: int

    @property
    def covered(self) -> float:
        """Share that held the truth."""
        return 1 - (self.above + self.below) / self.runs


def cells(quick: bool = False) -> list[Cell]:
    """Every truth; when quick, some of each kind."""
    singles = [(distance,) for distance in DISTANCES]
    if quick:
        return [
            *(Cell(distances, 500, 0.9, True) for distances in singles),
            *(Cell(distances, 100, 0.9, True) for distances in GAPS[:5]),
        ]
    return [
        Cell(distances, samples, correlation, whole)
        for distances in (*singles, *GAPS)
        for samples in SIZES
        for correlation in CORRELATIONS
        for whole in (True, False)
    ]


def cover(cell: Cell, runs: int) -> Coverage:
    """Make intervals of ``runs`` simulated samples."""
    generator = np.random.default_rng(zlib.crc32(repr(tuple(cell)).encode()))
    truth = abs(cell.distances[0]) - sum(map(abs, cell.distances[1:]))
    above = below = bounds = 0
    for _ in range(runs):
        reference, *others = draw(cell, generator)
        drawn = Resamples.draw(cell.samples, DRAWS, generator)
        if len(others) == 1:
            low, high = ks_interval(others[0], reference, drawn)
            bounds += low == 0
        else:
            terms = [Weighted(o, reference, w) for o, w in zip(others, (1, -1), strict=True)]
            _, low, high, _ = ks_sum(terms, drawn)
        above += low > truth + 1e-9
        below += high < truth - 1e-9
    return Coverage(runs, above, below, bounds)


def draw(cell: Cell, generator: np.random.Generator) -> Sequence[Floats]:
    """The reference, then a sample at each distance; normal, of equal correlation."""
    shifts = [0.0, *(shift_of(distance, cell.whole) for distance in cell.distances)]
    own = generator.normal(size=(len(shifts), cell.samples))
    shared = generator.normal(size=cell.samples)
    mixed = np.sqrt(cell.correlation) * shared + np.sqrt(1 - cell.correlation) * own
    found = MEAN + np.array(shifts)[:, None] + SPREAD * mixed
    return list(found.round() if cell.whole else found)


@cache
def shift_of(distance: float, whole: bool) -> float:
    """How far the mean has to be moved for a KS distance of just so much."""
    edges = np.arange(-100.5, 200) if whole else np.linspace(-100, 200, 60_001)

    def excess(shift: float) -> float:
        gap = ndtr((edges - MEAN) / SPREAD) - ndtr((edges - MEAN - shift) / SPREAD)
        return float(gap.max()) - abs(distance)

    size = float(brentq(excess, 0, 60)) if distance else 0.0
    return float(np.sign(distance)) * size


def coverage(runs: int, folder: Path, *, quick: bool = False) -> dict[str, dict[str, float]]:
    """Coverage of every cell by its text; what is in the folder is not computed again."""
    kept = folder / f"ks-{runs}.json"
    found = json.loads(kept.read_text()) if kept.exists() else {}
    for cell in cells(quick):
        name = text_of(cell)
        if name not in found:
            result = cover(cell, runs)
            found[name] = {**result._asdict(), "covered": round(result.covered, 4)}
            kept.write_text(json.dumps(found, indent=1))
    return {text_of(cell): found[text_of(cell)] for cell in cells(quick)}


def text_of(cell: Cell) -> str:
    """A cell in words."""
    kind = "whole" if cell.whole else "continuous"
    between = " minus ".join(
        f"{abs(d):g}{' (other side)' if d < 0 else ''}" for d in cell.distances
    )
    return f"{between}, n = {cell.samples}, correlation {cell.correlation:g}, {kind}"
