"""Where do the steps of a path lie: at which length, or which fraction of the way?

Giglemiani et al. 2024, section 4.1, says steps 0 to 100 of length 0.5; the authors' code has 100
points that share the same ends, so that a step is 50/99 long. Both are presets.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from steppe.core.errors import InputError
from steppe.core.readings import Reading, check_reading

Mode = Literal["absolute", "relative"]

STEP_SIZE = 0.5
_N_POINTS = {"code": 100, "text": 101}
_LAST_STEP = 100.0


@dataclass(frozen=True, eq=False)
class Grid:
    """The steps of a path.

    Attributes:
        mode: ``absolute``: positions are lengths; ``relative``: fractions of the way.
        positions: Where each step lies, from 0 on, evenly spaced, ``(step,)``: L2 distance from
            the base, or fraction of the way to the target.
    """

    mode: Mode
    positions: NDArray[np.float64]

    @property
    def n_points(self) -> int:
        """Number of steps, the base among them."""
        return len(self.positions)


def absolute_grid(step_size: float = STEP_SIZE, reading: Reading = "code") -> Grid:
    """Lay steps at fixed lengths: up to 100 step sizes from the base.

    Args:
        step_size: L2 length of a step as the paper counts them.
        reading: ``code``: 100 points, each ``step_size * 100/99`` apart; ``text``: 101 points.

    Raises:
        InputError: The step size is not a positive number.
    """
    return Grid("absolute", _check_step_size(step_size) * _steps(reading))


def relative_grid(reading: Reading = "code") -> Grid:
    """Lay steps at fixed fractions of the way: from the base to the target.

    Args:
        reading: ``code``: 100 points, 1/99 apart; ``text``: 101 points, 1/100 apart.
    """
    return Grid("relative", _steps(reading) / _LAST_STEP)


def _steps(reading: Reading) -> NDArray[np.float64]:
    return np.linspace(0.0, _LAST_STEP, _N_POINTS[check_reading(reading)])


def _check_step_size(step_size: float) -> float:
    if np.isfinite(step_size) and step_size > 0:
        return step_size
    raise InputError(
        "step size",
        got=f"{step_size}",
        expected="a positive length, in the units of the residual stream",
        fix=f"{STEP_SIZE} is the paper's, for GPT-2",
    )
