"""Points in the plane through three activations.

Heimersheim and Mendel 2024 show the output's change over such a plane. Its axes are orthogonal and
in the activations' own units, so that distances on the map are distances in the residual stream.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from steppe.activations.vectors import Vectors, as_vectors
from steppe.core.errors import InputError
from steppe.paths.family import ROUNDING


@dataclass(frozen=True, eq=False)
class Plane:
    """A plane with coordinates.

    Attributes:
        origin: The first activation, float64 ``(d_model,)``.
        axes: Two orthonormal vectors, float64 ``(2, d_model)``; the first leads to the second
            activation.
        corners: Where the three activations lie, float64 ``(3, 2)``.
    """

    origin: Tensor
    axes: Tensor
    corners: Tensor

    @classmethod
    def through(cls, activations: Vectors) -> Plane:
        """The plane through three activations.

        Args:
            activations: ``(3, d_model)``.

        Raises:
            InputError: There are not three, or they lie on one line.
        """
        points = as_vectors(activations, "activations of a plane").double()
        beside = points[1:] - points[0] if len(points) == 3 else torch.zeros(2, 1).double()
        first = beside[0] / beside[0].norm()
        second = beside[1] - (beside[1] @ first) * first
        if not float(second.norm()) > ROUNDING * float(beside[1].norm()):
            raise InputError(
                "activations of a plane",
                got=f"{len(points)} activations" if len(points) != 3 else "three on one line",
                expected="three that span a plane",
                fix="choose another activation",
            )
        axes = torch.stack([first, second / second.norm()])
        corners = torch.cat([torch.zeros(1, 2).double(), beside @ axes.T])
        return cls(points[0], axes, corners)

    def at(self, coordinates: Tensor) -> Tensor:
        """Points by their coordinates.

        Args:
            coordinates: ``(point, 2)``, in units of the residual stream.

        Returns:
            float32 ``(point, d_model)``.
        """
        return (self.origin + coordinates.double() @ self.axes).float()

    def grid(self, n_points: int, margin: float = 0.35) -> tuple[Tensor, Tensor]:
        """Evenly spaced coordinates around the three activations.

        Args:
            n_points: Points along each axis.
            margin: How far the grid reaches beyond the activations, in parts of their extent.

        Returns:
            Coordinates along the first and second axis, float64 ``(point,)`` each.
        """
        low, high = self.corners.amin(dim=0), self.corners.amax(dim=0)
        reach = margin * float((high - low).max())
        first, second = (
            torch.linspace(float(a) - reach, float(b) + reach, n_points, dtype=torch.float64)
            for a, b in zip(low, high, strict=True)
        )
        return first, second
