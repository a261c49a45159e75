"""The statistics there are: one number per curve."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from steppe.core.registry import Registry
from steppe.statistics.area import area_step
from steppe.statistics.max_slope import max_slope_step
from steppe.statistics.nonlinearity import nonlinearity_step
from steppe.statistics.plateau import plateau_step


@dataclass(frozen=True)
class Statistic:
    """One number per curve.

    Attributes:
        name: Its name in configurations and tables.
        function: (..., step) values and ``reading=`` to (...) steps.
        label: What a caption calls it.
        short: The paper's abbreviation, for axes.
        takes_end: Whether the function can cut each curve (``end=``). The authors cut absolute
            curves at the target for these statistics, and for no others.
    """

    name: str
    function: Callable[..., NDArray[np.float64]]
    label: str
    short: str
    takes_end: bool

    def __call__(self, *values: Any, **settings: Any) -> NDArray[np.float64]:
        """Apply the function."""
        return self.function(*values, **settings)


CATALOGUE: Registry[Statistic] = Registry(
    "statistic",
    "statistics",
    (
        Statistic("max_slope", max_slope_step, "max slope (MS) step", "MS", takes_end=True),
        Statistic("area", area_step, "area under curve (AUC) step", "AUC", takes_end=False),
        Statistic("nonlinearity", nonlinearity_step, "non-linear (NL) step", "NL", takes_end=False),
        Statistic("plateau", plateau_step, "activation plateau (AP) step", "AP", takes_end=True),
    ),
)


def find_statistic(name: str) -> Statistic:
    """Return the statistic of that name.

    Raises:
        InputError: There is none.
    """
    return CATALOGUE.find(name)
