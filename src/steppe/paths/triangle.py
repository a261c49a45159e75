"""Which targets lie between three? The barycentric grid of a triangle, the corners included.

Heimersheim and Mendel 2024, "local optima in sensitivity": the targets are interpolated first, and
each interpolated target gives a direction.
"""

from __future__ import annotations

import torch
from torch import Tensor

from steppe.activations.vectors import Vectors, as_vectors
from steppe.core.errors import InputError


def barycentric(subdivisions: int) -> Tensor:
    """Weights of the three corners on a triangular grid.

    Args:
        subdivisions: Steps along each side.

    Returns:
        float64 ``(point, 3)``, not negative, each row of sum 1; row by row from the first corner
        down to the side between the second and the third. There are
        ``(subdivisions + 1) (subdivisions + 2) / 2`` points.

    Raises:
        InputError: There is not at least one subdivision.
    """
    if subdivisions < 1:
        raise InputError(
            "subdivisions of a triangle",
            got=str(subdivisions),
            expected="a whole number from 1 on",
            fix="12 gives 91 points",
        )
    counts = [
        (subdivisions - away, away - third, third)
        for away in range(subdivisions + 1)
        for third in range(away + 1)
    ]
    return torch.tensor(counts, dtype=torch.float64) / subdivisions


def interpolate(corners: Vectors, weights: Tensor) -> Tensor:
    """Targets between three.

    Args:
        corners: ``(3, d_model)``.
        weights: ``(point, 3)``.

    Returns:
        float32 ``(point, d_model)``; a corner's own weight gives it exactly.
    """
    rows = as_vectors(corners, "corners of a triangle")
    return (weights.double() @ rows.double()).float()
