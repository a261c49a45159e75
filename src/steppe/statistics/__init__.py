"""One number per curve: where it blows up, bends, or leaves its plateau. numpy and xarray only.

Every function takes curves with the step on the last axis, in one of two readings. ``text``, the
default, is the exact definition, NaN where there is no such step, in no model's units; ``code`` is
what the paper's authors ran, with their stand-in numbers (99, 100) and GPT-2's units.
"""

from steppe.statistics.area import area_step
from steppe.statistics.catalogue import CATALOGUE, Statistic, find_statistic, statistic_of
from steppe.statistics.labelled import ends_at_target, steps_of
from steppe.statistics.max_slope import max_slope_step
from steppe.statistics.nonlinearity import nonlinearity_step
from steppe.statistics.plateau import crossing_step, is_censored, plateau_step
from steppe.statistics.search import EVALUATIONS, Crossings, find_crossings
from steppe.statistics.sharpness import sharpness
from steppe.statistics.superellipse import Superellipse, fit_superellipse, superellipse_exponent
from steppe.statistics.transition import transition_width

__all__ = [
    "CATALOGUE",
    "EVALUATIONS",
    "Crossings",
    "Statistic",
    "Superellipse",
    "area_step",
    "crossing_step",
    "ends_at_target",
    "find_crossings",
    "find_statistic",
    "fit_superellipse",
    "is_censored",
    "max_slope_step",
    "nonlinearity_step",
    "plateau_step",
    "sharpness",
    "statistic_of",
    "steps_of",
    "superellipse_exponent",
    "transition_width",
]
