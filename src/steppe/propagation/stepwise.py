"""Half-precision products of the points of a path without rounding each point by itself.

Rounding each point by itself adds steps of its own to a curve. Here the steps between neighbours
are multiplied, and their products added up in the stream's number format: what is rounded is as
small as a step, so that what one step adds is exact to the format's relative precision.
"""

from __future__ import annotations

import math
from collections.abc import Callable

from torch import Tensor
from torch.nn.functional import linear

from steppe.models.half_precision import HalfConv1D, HalfLinear

Forward = Callable[[Tensor], Tensor]
# How many points a batch has, and how many of them, one after the other, are a path.
Layout = Callable[[], tuple[int, int]]


def stepwise(
    module: HalfLinear | HalfConv1D,
    layout: Layout,
    product: Callable[[Tensor], Tensor] | None = None,
) -> Forward:
    """The forward of a matrix in half precision, for rows that are points of paths.

    Args:
        module: Gives the number format and the bias.
        layout: Points of the batch and of a path; paths of 1 when no point has to do with the next.
        product: Multiplies rows in that format, without the bias; None: as torch does.

    Returns:
        From rows ``(point, ..., d_in)`` to ``(point, ..., d_out)`` in the number format of the
        rows. Several rows of a point may also lie one after the other: ``(point * row, d_in)``.
    """
    bias = None if module.bias is None else module.bias.detach()
    dtype = module.weight.dtype
    product = _product(module) if product is None else product

    def forward(rows: Tensor) -> Tensor:
        points, length = layout()
        if len(rows) % points or points % length:
            points, length = 1, 1
        paths = rows.reshape(points // length, length, -1, rows.shape[-1])
        sums = product(_steps(paths).to(dtype)).to(rows.dtype)
        if bias is not None:
            sums[:, 0].add_(bias)
        return _added_up(sums).reshape(*rows.shape[:-1], -1)

    return forward


def _product(module: HalfLinear | HalfConv1D) -> Callable[[Tensor], Tensor]:
    weight = module.weight.detach()
    matrix = weight.t() if isinstance(module, HalfConv1D) else weight
    return lambda rows: linear(rows, matrix)


def _steps(paths: Tensor) -> Tensor:
    """What each point adds to the one before, ``(path, point, row, d_in)``; the first as it is."""
    if paths.shape[1] == 1:
        return paths
    steps = paths.clone()
    steps[:, 1:].sub_(paths[:, :-1])
    return steps


def _added_up(steps: Tensor) -> Tensor:
    """Running sums along axis 1; ``steps`` is used up."""
    length = steps.shape[1]
    if steps.device.type != "cpu":
        return steps.cumsum(1) if length > 1 else steps
    # Torch's own running sum is ten times slower on a processor when the axis is not the last.
    # Sums within blocks, all blocks at once, then the block before is added to each.
    width = math.isqrt(length)
    for place in range(1, width):
        later = steps[:, place::width]
        later.add_(steps[:, place - 1 :: width][:, : later.shape[1]])
    for start in range(width, length, width):
        steps[:, start : start + width].add_(steps[:, start - 1 : start])
    return steps
