"""The numbers that decide claims on steps: gaps of means, spreads and KS distances, and shares.

All are paired: kinds, modes and contexts share samples. NaN is left out.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from steppe.comparisons import Parts, Resamples, Weighted, ks_sum, ks_within, parts_of, ratio
from steppe.recipes.deciding import Decision

Floats = NDArray[np.float64]
# (mode or context, kind): the step of every sample.
Place = tuple[str, str]
Steps = Mapping[Place, Floats]

# Closer than this, two distributions of steps count as alike. It lies between what the paper
# calls alike (0.02, reconstructions on absolute paths) and what it tells apart (0.11, on relative).
ALIKE = 0.1


def mean_gap(steps: Steps, later: Place, earlier: Place) -> Decision:
    """Mean of one minus mean of the other."""
    gaps = [_means(steps[place]) for place in (later, earlier)]
    return _difference(gaps[0], gaps[1], _fewest(steps[later], steps[earlier]))


def spread_gap(steps: Steps, wider: Place, tighter: Place) -> Decision:
    """Standard deviation (ddof 0) of one minus that of the other."""
    gaps = [_spreads(steps[place]) for place in (wider, tighter)]
    return _difference(gaps[0], gaps[1], _fewest(steps[wider], steps[tighter]))


def ks_gap(steps: Steps, terms: Mapping[Place, float], reference: str) -> Decision:
    """A weighted sum of KS distances, each to the reference in the same mode or context."""
    weighted = [
        Weighted(steps[group, kind], steps[group, reference], weight)
        for (group, kind), weight in terms.items()
    ]
    return Decision.of_parts(ks_sum(weighted))


def closeness(steps: Steps, made: Place, reference: Place, drawn: Resamples) -> Decision:
    """`ALIKE` minus the KS distance: positive where they are shown to be alike."""
    return Decision(*ks_within(steps[made], steps[reference], ALIKE, drawn))


def share_above_half(steps: Floats, low: float, high: float) -> Decision:
    """Share of steps from ``low`` to ``high``, minus one half."""
    within = (steps >= low) & (steps <= high)
    return Decision.of_share(np.where(np.isnan(steps), np.nan, within))


def _means(values: Floats) -> tuple[float, Floats]:
    """The mean, and as each sample is left out."""
    defined = ~np.isnan(values)
    filled = np.where(defined, values, 0.0)
    count, total = defined.sum(), filled.sum()
    return float(ratio(total, count)), ratio(total - filled, count - defined)


def _spreads(values: Floats) -> tuple[float, Floats]:
    """The standard deviation, and as each sample is left out."""
    away = values - _means(values)[0]
    (square, squares), (mean, means) = _means(away**2), _means(away)
    return (
        float(np.sqrt(square - mean**2)),
        np.sqrt(np.maximum(squares - means**2, 0)),
    )


def _fewest(*steps: Floats) -> int:
    """How many samples there are evidence of: an undefined step is none."""
    return min(int((~np.isnan(one)).sum()) for one in steps)


def _difference(one: tuple[float, Floats], other: tuple[float, Floats], samples: int) -> Decision:
    parts: Parts = parts_of(np.array([[one[0] - other[0]]]), (one[1] - other[1]).reshape(-1, 1, 1))
    return Decision.of_parts(replace(parts, samples=samples))
