"""Targets in directions drawn evenly from the sphere, blind to the data.

The naive random baseline of Heimersheim and Mendel 2024.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from torch import Tensor

from steppe.activations.composition import one_generator_each
from steppe.activations.gaussian import standard_normal
from steppe.activations.vectors import Vectors, as_vectors
from steppe.core.readings import Reading, check_reading


def isotropic(
    base: Vectors,
    real: Vectors,
    generators: Sequence[np.random.Generator],
    *,
    reading: Reading = "text",
    centered: bool = True,
) -> Tensor:
    """Draw targets that know nothing of the data.

    In the ``text`` reading a target lies in a random direction from its base, as far away as the
    sample's real target. In the ``code`` reading the target itself is a standard normal draw, as
    in the authors' early scripts, and the displacement therefore mostly points away from the base.

    Args:
        base: Base activations, ``(sample, d_model)``.
        real: Real targets, ``(sample, d_model)``; only their distances are used.
        generators: One per sample.
        reading: ``text`` or ``code``.
        centered: Whether activations are in centred coordinates; draws then have mean zero over
            ``d_model`` too.

    Returns:
        Targets, float32 on the CPU, ``(sample, d_model)``.
    """
    rows = as_vectors(base, "base")
    one_generator_each(generators, len(rows))
    draws = standard_normal(generators, rows.shape[1])
    if centered:
        draws = draws - draws.mean(dim=1, keepdim=True)
    if check_reading(reading) == "code":
        return draws.float()
    distance = (as_vectors(real, "real", width=rows.shape[1]).double() - rows).norm(
        dim=1, keepdim=True
    )
    targets: Tensor = rows + distance * draws / draws.norm(dim=1, keepdim=True)
    return targets.float()
