"""The numbers that decide the study's claims: positive where a claim holds.

Each is a mean, a share or an area under an ROC curve, tested by leaving out one base prompt at a
time (`steppe.comparisons.jackknife`). An equivalence is tested by two one-sided bounds.
"""

from __future__ import annotations

import numpy as np

from steppe.comparisons import Sampled, both_sides, earlier_within
from steppe.studies.heimersheim2024.quantities import Floats

# The report's own numbers, and what counts as near to nothing.
FLAT_UNTIL = 40.0
USUAL_L0 = 100.0
SEPARATED = 0.95
NEAR = 0.1
SYMMETRIC = 1.0
_NORMAL_97_5 = 1.96


def more_than_half(values: Sampled) -> Floats:
    """How far a mean of shares lies above one half."""
    return values.mean(values["first"]) - 0.5


def mean_gap(values: Sampled) -> Floats:
    """By how much the second mean is larger."""
    return values.mean(values["second"]) - values.mean(values["first"])


def plateau_gap(values: Sampled, end: float) -> Floats:
    """Mean response of the second bases less that of the first, as far as plateaus reach.

    That is the mean crossing of both together, which prefers neither; what never crosses counts as
    the path's end. A mean, since a median of two groups jumps as a base is left out.
    """
    crossed = np.stack([values["first_crossing"], values["second_crossing"]], axis=1)
    reach = values.mean(np.minimum(crossed, end))
    gaps = values.means(values["second"] - values["first"])
    steps = gaps.shape[-1] - 1
    areas = np.cumsum((gaps[..., 1:] + gaps[..., :-1]) / 2, axis=-1)
    areas = np.concatenate([np.zeros((*gaps.shape[:-1], 1)), areas], axis=-1)
    place = np.nan_to_num(reach / end * steps)
    before = np.minimum(place.astype(int), steps - 1)
    ends = [np.take_along_axis(areas, at[..., None], -1)[..., 0] for at in (before, before + 1)]
    area: Floats = ends[0] + (place - before) * (ends[1] - ends[0])
    return np.where(np.isnan(reach), np.nan, area / place)


def earlier(values: Sampled) -> Floats:
    """ROC area: share of pairs in which the first crosses earlier, minus one half."""
    return values.earlier(values["first"], values["second"]) - 0.5


def paired(values: Sampled) -> Floats:
    """The same among pairs of one base prompt."""
    return values.mean(earlier_within(values["first"], values["second"])) - 0.5


def not_separated(values: Sampled) -> Floats:
    """How far a ROC area stays below `SEPARATED`."""
    # In logarithms: so near to its end a share is not symmetric about its mean.
    share = values.earlier(values["second"], values["first"])
    logarithm: Floats = np.log(np.maximum(share, 1e-9) / (1 - SEPARATED))
    return logarithm


def alike(values: Sampled) -> Floats:
    """Whether a ROC area lies within `NEAR` of one half."""
    return both_sides(NEAR, earlier(values))


def leads_by_more(values: Sampled) -> Floats:
    """Whether a ROC area leads by more than another differs from one half, either way."""
    there = values.earlier(values["first_at"], values["second_at"]) - 0.5
    return both_sides(earlier(values), there)


def symmetric(values: Sampled, end: float) -> Floats:
    """Whether crossings differ by less than `SYMMETRIC` on average."""
    gaps = np.minimum(values["second"], end) - np.minimum(values["first"], end)
    return both_sides(SYMMETRIC, values.mean(gaps))


def usual(values: Sampled) -> Floats:
    """Whether a mean count lies within a factor ten of `USUAL_L0`."""
    mean = np.maximum(values.mean(values["first"]), 1e-9)
    return both_sides(1, np.log10(mean / USUAL_L0))


def wide(values: Sampled) -> Floats:
    """Whether the middle 95% of counts, as log-normal, span more than a factor ten."""
    logs = np.log10(np.maximum(values["first"], 0.5))
    variance = values.mean(logs**2) - values.mean(logs) ** 2
    # In logarithms: a spread is not symmetric about its mean.
    span: Floats = np.log(2 * _NORMAL_97_5 * np.sqrt(np.maximum(variance, 1e-12)))
    return span
