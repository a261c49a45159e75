"""What tables, claims and figures are made of: crossings and responses, curve by curve.

Each is a function of a run's analysis, for labels that are given first. Crossings are infinite
where a path never crosses, NaN where it is undefined.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from steppe.comparisons import as_ranked, earlier_within, ranked_median
from steppe.core.axes import KIND, MODE, NEIGHBOUR, SAMPLE, STEP
from steppe.statistics import crossing_step, is_censored
from steppe.studies.heimersheim2024 import names as n
from steppe.study import Analysis

Floats = NDArray[np.float64]
Get = Callable[[Analysis], Floats]
# A kind, a mode and, of controls, which one.
Labels = Mapping[str, str]
# What the mean response of a path is taken over: up to a right angle, or to the base's norm.
REACH = {"straight": 1.0, "sphere": 90.0}


def searched(part: str, kind: str, mode: str = "sphere", prefix: str = "") -> Get:
    """Searched crossings, ``(sample, draw)``."""
    return lambda a: _ranked(a, part, {KIND: kind, MODE: mode}, prefix)


def _ranked(a: Analysis, part: str, at: Mapping[str, Any], prefix: str = "") -> Floats:
    found = (a[f"{part}/{prefix}{name}"].sel(at).values for name in ("crossing", "censored"))
    return as_ranked(*found)


def positions(a: Analysis, part: str, mode: str) -> Floats:
    """Where the steps of a path lie, ``(step,)``."""
    return np.asarray(a.datasets[part][f"{mode}_position"].values)


def curves(part: str, metric: str, at: Labels) -> Get:
    """A metric along paths, ``(sample, step)``."""
    kind = n.CURVE_KIND if part == n.DIRECTIONS else KIND
    chosen = {kind if dim == KIND else dim: label for dim, label in at.items()}
    return lambda a: a[f"{part}/{metric}"].sel(chosen).transpose(SAMPLE, STEP).values


def reached(part: str, at: Labels, level: str = "level") -> Get:
    """Where KL along curves first reaches the level of that setting, ``(sample,)``."""
    get = curves(part, "kl", at)
    return lambda a: level_crossings(
        positions(a, part, at[MODE]), get(a), getattr(a.settings, level)
    )


def half_rises(at: Labels) -> Get:
    """Where L2 after the final normalisation reaches half of its largest value, ``(sample,)``.

    A level of its own for every control, so that models whose KL never crosses can be compared.
    """

    def get(a: Analysis) -> Floats:
        values = curves(n.CONTROLS, "l2_normalized", at)(a)
        largest = values.max(axis=1, keepdims=True)
        relative = np.divide(values, largest, out=np.full_like(values, np.nan), where=largest > 0)
        return level_crossings(positions(a, n.CONTROLS, at[MODE]), relative, 0.5)

    return get


def responses(part: str, metric: str, at: Labels) -> Get:
    """Mean of a metric along each curve, up to `REACH`, ``(sample,)``."""

    def get(a: Analysis) -> Floats:
        near = positions(a, part, at[MODE]) <= REACH[at[MODE]] + 1e-9
        return np.asarray(curves(part, metric, at)(a)[:, near].mean(axis=1))

    return get


def level_crossings(places: Floats, values: NDArray[np.floating[Any]], level: float) -> Floats:
    """Where curves ``(sample, step)`` over even places first reach a level."""
    steps = crossing_step(values, level)
    # The grid is even, so that a place between two steps is one between their positions.
    return as_ranked(steps * (places[1] - places[0]), is_censored(values, level))


def bases_earlier(first: Floats, second: Floats) -> Floats:
    """Whether each base's median crossing is earlier in the first kind, ``(sample,)``.

    1 where it is, 0 where it is not, one half for a tie; NaN where either is undefined.
    """
    one, other = ([ranked_median(row) for row in values] for values in (first, second))
    return earlier_within(one, other)


def family_angles(kind: str, neighbour: str) -> Get:
    """Crossing angles of one neighbour of each corner, ``(sample, family)``."""
    return lambda a: _ranked(a, n.OPTIMA, {KIND: kind, NEIGHBOUR: neighbour})


def optima(kind: str, near: tuple[str, ...]) -> Get:
    """In which families the corner crosses before its neighbours, ``(sample, family)``."""

    def get(a: Analysis) -> Floats:
        corner = family_angles(kind, "corner")(a)
        nearest = _ranked(a, n.OPTIMA, {KIND: kind, NEIGHBOUR: list(near)}).min(axis=-1)
        # Where even the corner never crosses there is nothing to compare.
        known = np.isfinite(corner) & ~np.isnan(nearest)
        return np.where(known, corner < nearest, np.nan)

    return get
