"""Positions of the steps of a path: lengths, or fractions of the way.

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


def absolute_grid(
    step_size: float, reading: Reading = "text", *, n_points: int | None = None
) -> Grid:
    """Lay steps at fixed lengths from the base.

    Args:
        step_size: L2 length of a step, in the units of the residual stream.
        reading: ``text``: 101 points, ``step_size`` apart; ``code``: 100 points that reach as far,
            ``step_size * 100/99`` apart.
        n_points: Points of the path, the base among them, ``step_size`` apart; None: as the
            reading has them.

    Raises:
        InputError: The step size is not a positive number, or fewer than two points are asked for.
    """
    _check_step_size(step_size)
    if n_points is not None:
        return Grid("absolute", step_size * np.arange(float(_check_points(n_points, reading))))
    return Grid("absolute", step_size * _steps(reading))


def relative_grid(reading: Reading = "text", *, n_points: int | None = None) -> Grid:
    """Lay steps at fixed fractions of the way: from the base to the target, both included.

    Args:
        reading: ``text``: 101 points, 1/100 apart; ``code``: 100 points, 1/99 apart.
        n_points: Points of the path, both ends among them; None: as the reading has them.

    Raises:
        InputError: Fewer than two points are asked for.
    """
    if n_points is not None:
        return Grid("relative", np.linspace(0.0, 1.0, _check_points(n_points, reading)))
    return Grid("relative", _steps(reading) / _LAST_STEP)


def _steps(reading: Reading) -> NDArray[np.float64]:
    return np.linspace(0.0, _LAST_STEP, _N_POINTS[check_reading(reading)])


def _check_points(n_points: int, reading: Reading) -> int:
    if check_reading(reading) == "text" and n_points >= 2:
        return n_points
    is_code = reading == "code"
    raise InputError(
        "n_points",
        got=f"{n_points} in the reading 'code'" if is_code else f"{n_points}",
        expected="none: the authors' paths have 100 points" if is_code else "2 or more",
        fix="leave out `reading`" if is_code else "a path has its base and at least one more point",
    )


def _check_step_size(step_size: float) -> None:
    if np.isfinite(step_size) and step_size > 0:
        return
    raise InputError(
        "step size",
        got=f"{step_size}",
        expected="a positive length, in the units of the residual stream",
        fix="the paper's is 0.5, for GPT-2; for another model, a fraction of its own distances",
    )
