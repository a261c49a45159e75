"""How far a residual vector moved: L2 distance and cosine to the first point of its path."""

from __future__ import annotations

import torch
from torch import Tensor


def l2(residual: Tensor) -> Tensor:
    """L2 distance of every point to the first, ``||R_i - R_0||``, in activation units.

    Args:
        residual: Shape ``(step, ..., d_model)``.

    Returns:
        Shape ``(step, ...)``; exactly 0 at step 0.
    """
    distance: Tensor = torch.linalg.vector_norm(residual - residual[:1], dim=-1)
    return distance


def cosine(residual: Tensor) -> Tensor:
    """Cosine between every point and the first, ``R_i . R_0 / (||R_i|| ||R_0||)``, without unit.

    Args:
        residual: Shape ``(step, ..., d_model)``.

    Returns:
        Shape ``(step, ...)``; exactly 1 at step 0, NaN where a vector is zero.
    """
    exact = residual.double()
    square = exact.square().sum(-1)
    # The same product and sum as in `square`, so that the quotient of row 0 is exactly 1.
    product = (exact * exact[:1]).sum(-1)
    return (product / (square * square[:1]).sqrt()).to(residual.dtype)
