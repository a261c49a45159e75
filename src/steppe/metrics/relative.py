"""Where an output lies between those of two activations."""

from __future__ import annotations

from torch import Tensor, linalg

from steppe.core.errors import InputError


def relative_distance(residual: Tensor, end: Tensor | None = None) -> Tensor:
    """Distance to the path's first point over the sum of distances to both ends, d_A / (d_A + d_B).

    It needs the output of the far end: of whole paths, as the metric ``relative_distance`` is
    taken, or with ``end`` given.

    Args:
        residual: Outputs of one path, ``(step, ..., d_model)``; the first is A's.
        end: B's output, ``(..., d_model)``; None: the last of the path.

    Returns:
        Shape ``(step, ...)``: 0 at A, 1 at B, 1/2 wherever both are equally far; NaN where both
        ends give the same output as the point.

    Raises:
        InputError: ``end`` has another shape than a point.
    """
    far = residual[-1] if end is None else end.to(residual)
    if far.shape != residual.shape[1:]:
        raise InputError(
            "end of the path",
            got=f"shape {tuple(far.shape)}",
            expected=f"shape {tuple(residual.shape[1:])}, as every point has",
            fix="give the output of one activation",
        )
    to_start: Tensor = linalg.vector_norm(residual - residual[:1], dim=-1)
    to_end: Tensor = linalg.vector_norm(residual - far, dim=-1)
    return to_start / (to_start + to_end)
