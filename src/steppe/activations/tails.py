"""How unequal the norms of activations are: whether a few carry their mean and covariance.

Many pretrained models have massive activations (Sun et al. 2024, arXiv 2402.17762), of which a
handful can make most of a variance: a Gaussian with that covariance is then drawn after them.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from steppe.activations.vectors import Vectors, as_vectors
from steppe.core.errors import InputError

# An activation is an outlier above so many times the median norm.
OUTLIER = 5.0
_ROWS = 4096


@dataclass(frozen=True)
class Tails:
    """The norms of some activations, and what the largest make of their moments.

    Attributes:
        count: Activations.
        median_norm: Units of the residual stream, as are the next two.
        percentile_99: Of the norms.
        mean_norm: Of the norms.
        mean_norm_of_ordinary: The same without outliers.
        outliers: Activations with a norm above `OUTLIER` times the median.
        outliers_share_of_variance: Of the sum of squared distances from the mean, theirs, 0 to 1.
        carriers: As many activations, all equally far from the mean, would be as unequal:
            ``(sum s)**2 / sum s**2`` of the squared distances ``s``; ``count`` where all are equal.
    """

    count: int
    median_norm: float
    percentile_99: float
    mean_norm: float
    mean_norm_of_ordinary: float
    outliers: int
    outliers_share_of_variance: float
    carriers: float


def tails(vectors: Vectors) -> Tails:
    """Describe the norms of activations.

    Args:
        vectors: Activations, ``(sample, d_model)``.

    Returns:
        The description; NaN for the two that are shares of a variance of zero.

    Raises:
        InputError: There is no activation, or one holds NaN.
    """
    rows = as_vectors(vectors, "activations")
    if len(rows) == 0:
        raise InputError(
            "activations", got="none", expected="at least one", fix="give more prompts"
        )
    center, pieces = rows.mean(0, dtype=torch.float64), torch.split(rows, _ROWS)
    norms = _norms(rows)
    squares = torch.cat([(piece - center).square().sum(1) for piece in pieces])
    stands_out = _stands_out(norms)
    return Tails(
        count=len(rows),
        median_norm=float(norms.quantile(0.5)),
        percentile_99=float(norms.quantile(0.99)),
        mean_norm=float(norms.mean()),
        mean_norm_of_ordinary=float(norms[~stands_out].mean()),
        outliers=int(stands_out.sum()),
        outliers_share_of_variance=float(squares[stands_out].sum() / squares.sum()),
        carriers=float(squares.sum().square() / squares.square().sum()),
    )


def ordinary(vectors: Vectors) -> Tensor:
    """The activations that are no outliers: no norm above `OUTLIER` times the median one.

    Args:
        vectors: Activations, ``(sample, d_model)``.

    Returns:
        Those of them, in order, ``(ordinary sample, d_model)``.
    """
    rows = as_vectors(vectors, "activations")
    return rows[~_stands_out(_norms(rows))]


def _norms(rows: Tensor) -> Tensor:
    return torch.cat([piece.double().norm(dim=1) for piece in torch.split(rows, _ROWS)])


def _stands_out(norms: Tensor) -> Tensor:
    return norms > OUTLIER * norms.quantile(0.5)
