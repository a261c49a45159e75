"""The numbers that decide claims on steps: gaps of means, spreads and KS distances, and shares.

All are paired: kinds, modes and contexts share samples. NaN is left out.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from steppe.comparisons import Resamples, Sampled, Weighted, jackknife, ks_sum, ks_within
from steppe.study.verdicts import Decision

Floats = NDArray[np.float64]
# (mode or context, kind): the step of every sample.
Place = tuple[str, str]
Steps = Mapping[Place, Floats]

# Closer than this, two distributions of steps count as alike. It lies between what the paper
# calls alike (0.02, reconstructions on absolute paths) and what it tells apart (0.11, on relative).
ALIKE = 0.1


def mean_gap(later: Floats, earlier: Floats) -> Decision:
    """Mean of one minus mean of the other."""
    return _gap(lambda sampled, values: sampled.mean(values), later, earlier)


def spread_gap(wider: Floats, tighter: Floats) -> Decision:
    """Standard deviation (ddof 0) of one minus that of the other."""
    return _gap(_spread, wider, tighter)


def ks_gap(
    steps: Steps, terms: Mapping[Place, float], reference: str, drawn: Resamples
) -> Decision:
    """A weighted sum of KS distances, each to the reference in the same mode or context."""
    weighted = [
        Weighted(steps[group, kind], steps[group, reference], weight)
        for (group, kind), weight in terms.items()
    ]
    return Decision.of_ks(lambda level: ks_sum(weighted, drawn, level))


def closeness(made: Floats, reference: Floats, drawn: Resamples) -> Decision:
    """`ALIKE` minus the KS distance: positive where they are shown to be alike."""
    return Decision.of_ks(lambda level: ks_within(made, reference, ALIKE, drawn, level))


def share_above_half(steps: Floats, low: float, high: float) -> Decision:
    """Share of steps from ``low`` to ``high``, minus one half."""
    within = (steps >= low) & (steps <= high)
    return Decision.of_share(np.where(np.isnan(steps), np.nan, within))


def _spread(sampled: Sampled, values: Floats) -> Floats:
    mean = sampled.mean(values)
    return np.sqrt(np.maximum(sampled.mean(values**2) - mean**2, 0))


def _gap(number: Callable[[Sampled, Floats], Floats], first: Floats, second: Floats) -> Decision:
    values = {"first": first, "second": second}
    parts = jackknife(lambda s: number(s, s["first"]) - number(s, s["second"]), values)
    # An undefined step is no evidence, whatever the other one is.
    fewest = min(int((~np.isnan(one)).sum()) for one in values.values())
    return Decision.of_parts(replace(parts, samples=fewest))
