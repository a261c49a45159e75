"""The statistics there are: one number per curve."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from steppe.core.registry import Registry, entry_of
from steppe.statistics.area import area_step
from steppe.statistics.max_slope import max_slope_step, nearly_steepest
from steppe.statistics.nonlinearity import nonlinearity_step
from steppe.statistics.plateau import plateau_step
from steppe.statistics.sharpness import sharpness
from steppe.statistics.transition import transition_width


@dataclass(frozen=True)
class Statistic:
    """One number per curve.

    Attributes:
        name: Its name in configurations and tables.
        function: From ``(..., step)`` values to ``(...)`` numbers; ``reading=`` where it has two.
        label: What a caption calls it.
        short: The paper's abbreviation, for axes.
        takes_end: Whether the function can cut each curve (``end=``). The authors cut absolute
            curves at the target for these statistics, and for no others.
        unit: The unit of the numbers.
        rests_on: The first and the last point that a step rests on, counted from the step. At
            adaptive points these are computed, so that others would not change it.
        rivals: From curves ``(..., step)`` and their steps to other steps, ``(..., step)``, that
            may be the answer where a curve is known roughly.
    """

    name: str
    function: Callable[..., NDArray[Any]]
    label: str
    short: str
    takes_end: bool = False
    unit: str = "step"
    # The rises before, at and after a steepest one.
    rests_on: tuple[int, int] = (-2, 1)
    rivals: Callable[..., NDArray[np.bool_]] | None = None


CATALOGUE: Registry[Statistic] = Registry(
    "statistic",
    "statistics",
    (
        Statistic(
            "max_slope",
            max_slope_step,
            "max slope (MS) step",
            "MS",
            takes_end=True,
            rivals=nearly_steepest,
        ),
        Statistic("area", area_step, "area under curve (AUC) step", "AUC", rests_on=(-1, 1)),
        Statistic(
            "nonlinearity", nonlinearity_step, "non-linear (NL) step", "NL", rests_on=(-1, 0)
        ),
        Statistic(
            "plateau",
            plateau_step,
            "activation plateau (AP) step",
            "AP",
            takes_end=True,
            rests_on=(-1, 0),
        ),
        Statistic("sharpness", sharpness, "steepest relative slope", "sharpness", unit="1"),
        Statistic(
            "transition_width", transition_width, "width of the transition", "width", unit="1"
        ),
    ),
)


def find_statistic(name: str) -> Statistic:
    """Return the statistic of that name.

    Raises:
        InputError: There is none.
    """
    return CATALOGUE.find(name)


def statistic_of(function: Callable[..., NDArray[Any]], unit: str = "1") -> Statistic:
    """A statistic of your own: its name is the function's, its label the docstring's first line."""
    name, label = entry_of(function)
    return Statistic(name, function, label, name, unit=unit)
