"""At which level may a test be read at each of several planned looks at growing data?

Whoever looks again and again at 5% is wrong far more often than in 5% of runs. Here the 5% are
*spent*: at a share of the samples, that share of them (Lan and DeMets 1983, Biometrika 70, 659,
with the linear spending of Kim and DeMets 1987, Biometrika 74, 149). Levels follow from the joint
normal distribution of scores at the looks, whose increments are independent, by integrating from
look to look (Armitage, McPherson and Rowe 1969, J. R. Stat. Soc. A 132, 235). For other statistics
they are as good as that approximates them; docs/statistics.md has what was simulated.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import brentq
from scipy.special import ndtr, ndtri

Floats = NDArray[np.float64]
# Places that the distribution is known at between two boundaries, and so many to a standard
# deviation of what is added next.
_FEWEST, _MOST, _PER_DEVIATION = 201, 4001, 8
# Overall levels between which sequential p-values are interpolated; 0.05 is one of them.
_ALPHAS = (*np.geomspace(1e-6, 0.05, 17), *np.geomspace(0.05, 0.6, 7)[1:])


def look_levels(looks: Sequence[int], alpha: float = 0.05) -> Floats:
    """The level of a two-sided test at each look, for so many false verdicts over all of them.

    Args:
        looks: Numbers of samples, growing; all of ``alpha`` is spent at the last.
        alpha: Chance that any look rejects what is true.

    Returns:
        ``(look,)``: at a look is rejected where the p-value is at most its level.
    """
    return np.array(_levels(tuple(looks), alpha))


# A table of claims asks for the levels of one plan many times over.
@lru_cache(maxsize=64)
def _levels(looks: tuple[int, ...], alpha: float) -> tuple[float, ...]:
    times = np.asarray(looks, dtype=np.float64) / looks[-1]
    spent = np.diff(alpha * times, prepend=0.0)
    levels = np.empty(len(times))
    inside = _Inside()
    for k, (time, chance) in enumerate(zip(times, spent, strict=True)):
        step = float(np.sqrt(time - (times[k - 1] if k else 0.0)))
        end = inside.end(step, float(chance))
        levels[k] = 2 * ndtr(-end / np.sqrt(time))
        inside = inside.after(step, end)
    return tuple(levels.tolist())


def crossing_chance(looks: Sequence[int], levels: ArrayLike) -> float:
    """The chance that any look rejects what is true, with these levels of two-sided tests."""
    times = np.asarray(looks, dtype=np.float64) / looks[-1]
    ends = -ndtri(np.asarray(levels, dtype=np.float64) / 2) * np.sqrt(times)
    inside, chance = _Inside(), 0.0
    for step, end in zip(np.sqrt(np.diff(times, prepend=0.0)), ends, strict=True):
        chance += inside.leaving(float(step), float(end))
        inside = inside.after(float(step), float(end))
    return chance


def sequential_p(p_values: ArrayLike, looks: Sequence[int]) -> float:
    """P-value of all looks so far: the least overall level at which one of them rejects.

    It may be corrected for several claims as any p-value (Liu and Anderson 2008, J. Am. Stat.
    Assoc. 103, 1621), and is at most 0.05 where some look's p-value is at most its level.

    Args:
        p_values: ``(look,)`` two-sided p-values at the first looks of the plan; NaN: none there.
        looks: The plan, all of it.

    Returns:
        A number from 1e-6 (or less) to 1; NaN where no look has a p-value.
    """
    found = np.asarray(p_values, dtype=np.float64)
    alphas, levels = _boundaries(tuple(looks))
    each = [
        np.exp(np.interp(np.log(max(p, 1e-300)), np.log(levels[:, k]), np.log(alphas)))
        for k, p in enumerate(found)
        if not np.isnan(p)
    ]
    return float(min(each)) if each else float("nan")


@lru_cache(maxsize=16)
def _boundaries(looks: tuple[int, ...]) -> tuple[Floats, Floats]:
    """Overall levels, and those of each look ``(overall, look)``; the last are 1."""
    levels = [look_levels(looks, alpha) for alpha in _ALPHAS]
    return np.array([*_ALPHAS, 1.0]), np.array([*levels, np.ones(len(looks))])


class _Inside:
    """How scores are distributed that have not left the boundary yet, times root of time.

    Args:
        places: ``(place,)`` scores.
        mass: ``(place,)`` their chances.
    """

    def __init__(self, places: ArrayLike = (0.0,), mass: ArrayLike = (1.0,)) -> None:
        self._places, self._mass = np.asarray(places), np.asarray(mass)

    def leaving(self, step: float, end: float) -> float:
        """The chance to lie beyond ``end`` on either side, after a normal step of so much."""
        beyond = ndtr((-end - self._places) / step) + ndtr((self._places - end) / step)
        return float(self._mass @ beyond)

    def end(self, step: float, chance: float) -> float:
        """Beyond which end so much lies after a step."""
        found = brentq(lambda end: self.leaving(step, end) - chance, 0.0, 40.0, xtol=1e-10)
        return float(found)

    def after(self, step: float, end: float) -> _Inside:
        """What is still inside of ``end`` after a step."""
        count = int(np.clip(2 * end / step * _PER_DEVIATION, _FEWEST, _MOST)) | 1
        places = np.linspace(-end, end, count)
        weights = np.full(count, places[1] - places[0])
        # Simpson's rule.
        weights *= np.where(np.arange(count) % 2, 4, 2) / 3
        weights[[0, -1]] /= 2
        away = (places[:, None] - self._places) / step
        density = np.exp(-(away**2) / 2) @ self._mass / (step * np.sqrt(2 * np.pi))
        return _Inside(places, weights * density)
