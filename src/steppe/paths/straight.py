"""Points on the straight line from a base to its target, and beyond.

Giglemiani et al. 2024, section 4.1 (absolute) and Appendix A (relative). The first point of every
path is the base itself, bit for bit, so that metrics are exactly zero there.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from steppe.activations.vectors import Vectors, as_vectors
from steppe.core.errors import InputError
from steppe.core.readings import Reading
from steppe.paths.family import family_of
from steppe.paths.grid import Grid, absolute_grid, relative_grid


def absolute(
    base: Vectors,
    target: Vectors,
    *,
    step_size: float,
    n_points: int | None = None,
    reading: Reading = "text",
) -> Tensor:
    """Move from each base towards its target by steps of a fixed length.

    Args:
        base: ``(sample, d_model)``.
        target: ``(sample, d_model)``.
        step_size: L2 length of a step, in the units of the residual stream.
        n_points: Points of a path, the base among them; None: 101.
        reading: ``text`` or ``code``; see `absolute_grid`.

    Returns:
        Points, float32 on the CPU, ``(sample, step, d_model)``. A path goes past its target where
        the target is nearer than its end.

    Raises:
        InputError: Shapes differ, numbers are not finite, or a target equals its base, which
            leaves the path without a direction.
    """
    return along(base, target, absolute_grid(step_size, reading, n_points=n_points))


def relative(
    base: Vectors, target: Vectors, *, n_points: int | None = None, reading: Reading = "text"
) -> Tensor:
    """Move from each base to its target by fixed fractions of the way.

    Args:
        base: ``(sample, d_model)``.
        target: ``(sample, d_model)``.
        n_points: Points of a path, base and target among them; None: 101.
        reading: ``text`` or ``code``; see `relative_grid`.

    Returns:
        Points, float32 on the CPU, ``(sample, step, d_model)``; the last is the target.

    Raises:
        InputError: Shapes differ, numbers are not finite, or there are fewer than two points.
    """
    return along(base, target, relative_grid(reading, n_points=n_points))


def along(base: Vectors, target: Vectors, grid: Grid) -> Tensor:
    """Lay a grid along the straight lines from bases to targets.

    Args:
        base: ``(sample, d_model)``.
        target: ``(sample, d_model)``.
        grid: Lengths or fractions of the way.

    Returns:
        Points, float32 on the CPU, ``(sample, step, d_model)``.
    """
    start, end = _pair(base, target)
    positions = torch.from_numpy(grid.positions).float()[:, None]
    if grid.mode == "relative":
        # Weighing both ends makes both exact.
        return (1 - positions) * start[:, None] + positions * end[:, None]
    lengths = _distances(start, end)
    _refuse_zero_length(lengths)
    directions = ((end.double() - start.double()) / lengths[:, None]).float()
    return start[:, None] + positions * directions[:, None]


def target_distance(base: Vectors, target: Vectors) -> NDArray[np.float64]:
    """Return the L2 distance from each base to its target, ``(sample,)``."""
    return _distances(*_pair(base, target)).numpy()


def target_step(base: Vectors, target: Vectors, *, step_size: float) -> NDArray[np.int64]:
    """Return the step at which an absolute path reaches its target, in either reading.

    In the ``code`` reading that is slightly beyond the target: its points lie
    ``step_size * 100/99`` apart, and the authors count ``floor(distance / step_size)`` all the
    same.

    Args:
        base: ``(sample, d_model)``.
        target: ``(sample, d_model)``.
        step_size: L2 length of a step as the paper counts them.

    Returns:
        The step, not limited to the path's own steps, int64, ``(sample,)``.
    """
    absolute_grid(step_size)
    return np.floor(target_distance(base, target) / step_size).astype(np.int64)


def _pair(base: Vectors, target: Vectors) -> tuple[Tensor, Tensor]:
    start, end = as_vectors(base, "path, base"), as_vectors(target, "path, target")
    if start.shape == end.shape:
        return start, end
    raise InputError(
        "path",
        got=f"base {tuple(start.shape)}, target {tuple(end.shape)}",
        expected="one target per base, of the same width",
        fix="give both as (sample, d_model)",
    )


def _distances(start: Tensor, end: Tensor) -> Tensor:
    distances: Tensor = (end.double() - start.double()).norm(dim=1)
    return distances


def _refuse_zero_length(lengths: Tensor) -> None:
    samples = (lengths == 0).nonzero().flatten().tolist()
    if samples:
        raise InputError(
            "absolute path",
            got=f"{len(samples)} targets that equal their base, the first is sample {samples[0]}",
            expected="targets that differ from their base: the path's direction leads to them",
            fix="draw those targets again",
        )


def straight(
    base: Vectors, displacement: Vectors, *, n_points: int = 101, mean_free: bool = True
) -> Tensor:
    """Move from each base by a displacement that is as long as the base.

    Heimersheim and Mendel 2024, "straight mode": the displacement's mean over ``d_model`` is
    removed, then its norm is made that of the base; the path is ``base + alpha displacement`` with
    alpha from 0 to 1.

    Args:
        base: ``(sample, d_model)``.
        displacement: Where to, ``(sample, d_model)``; only its direction matters.
        n_points: Points from alpha = 0 to 1, both included.
        mean_free: Whether the mean is removed: for centred coordinates.

    Returns:
        Points, float32 on the CPU, ``(sample, step, d_model)``; NaN where there is no direction.

    Raises:
        InputError: Shapes differ or a base is not finite.
    """
    return family_of("straight", base, displacement, mean_free=mean_free).points(n_points)
