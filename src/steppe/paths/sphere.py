"""Points on the great circle from a base, through a direction, to its antipode.

Heimersheim and Mendel 2024, "sphere mode": the norm stays the base's, the angle grows from 0 to 180
degrees. Base, displacement and target all lie in the plane of the circle, so either of the latter
two may be given.
"""

from __future__ import annotations

from torch import Tensor

from steppe.activations.vectors import Vectors
from steppe.paths.family import family_of


def sphere(
    base: Vectors, displacement: Vectors, *, n_points: int = 101, mean_free: bool = True
) -> Tensor:
    """Move each base along the sphere of its own norm.

    Args:
        base: ``(sample, d_model)``.
        displacement: Where to, ``(sample, d_model)``: a displacement, a direction or a target.
        n_points: Points from 0 to 180 degrees, both included.
        mean_free: Whether the displacement's mean over ``d_model`` is removed first: for centred
            coordinates.

    Returns:
        Points, float32 on the CPU, ``(sample, step, d_model)``; NaN where the displacement has no
        part beside the base.

    Raises:
        InputError: Shapes differ or a base is not finite.
    """
    return family_of("sphere", base, displacement, mean_free=mean_free).points(n_points)
