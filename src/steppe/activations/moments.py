"""Mean and covariance of a cloud of activations.

Accumulated in float64, a few thousand activations at a time, so that neither the number of
activations nor their mean costs precision.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from steppe.activations.vectors import Vectors, as_vectors
from steppe.core.errors import InputError

_ROWS = 4096


@dataclass(frozen=True, eq=False)
class Moments:
    """Mean and covariance of activations.

    Attributes:
        mean: ``(d_model,)``.
        covariance: ``(d_model, d_model)``, symmetric.
        count: Number of activations they were estimated from.
    """

    mean: NDArray[np.float64]
    covariance: NDArray[np.float64]
    count: int


def estimate_moments(vectors: Vectors, ddof: int = 1) -> Moments:
    """Estimate the moments of activations held in memory.

    Args:
        vectors: Activations, ``(sample, d_model)``.
        ddof: The covariance is divided by the number of activations less this.

    Raises:
        InputError: There are too few activations, or they hold NaN.
    """
    rows = as_vectors(vectors, "activations")
    return estimate_moments_of_chunks(torch.split(rows, _ROWS), ddof)


def estimate_moments_of_chunks(chunks: Iterable[Vectors], ddof: int = 1) -> Moments:
    """Estimate the moments of activations that come a chunk at a time.

    Args:
        chunks: Activations, each ``(sample, d_model)``.
        ddof: The covariance is divided by the number of activations less this.

    Raises:
        InputError: There are too few activations, or they hold NaN.
    """
    count = 0
    mean: NDArray[np.float64] = np.zeros(0)
    scatter: NDArray[np.float64] = np.zeros((0, 0))
    for chunk in chunks:
        rows = as_vectors(chunk, "activations").double().numpy()
        if len(rows) == 0:
            continue
        if count == 0:
            mean, scatter = np.zeros(rows.shape[1]), np.zeros((rows.shape[1],) * 2)
        # Pairwise update of mean and scatter (Chan, Golub and LeVeque 1979).
        center = rows.mean(axis=0)
        shift, total = center - mean, count + len(rows)
        scatter += (rows - center).T @ (rows - center)
        scatter += np.outer(shift, shift) * (count * len(rows) / total)
        mean += shift * (len(rows) / total)
        count = total
    if count <= max(ddof, 1):
        raise InputError(
            "activations",
            got=f"{count} activations",
            expected=f"more than {max(ddof, 1)}, to estimate a covariance",
            fix="give more prompts",
        )
    return Moments(mean, (scatter + scatter.T) / (2 * (count - ddof)), count)
