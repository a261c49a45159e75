"""Row-wise computation in blocks of fixed size: a row's numbers do not depend on the others.

Matrix kernels round differently for different numbers of rows. Rows therefore always go through in
blocks of one shape, the last one filled up.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import torch
from torch import Tensor
from torch.nn.functional import pad

BLOCK = 64


def in_blocks(function: Callable[[Tensor], Tensor], rows: Tensor) -> Tensor:
    """Apply ``function`` to rows, always to `BLOCK` of them at once.

    Args:
        function: Maps ``(BLOCK, n)`` to ``(BLOCK, m)``, each row on its own.
        rows: ``(row, n)``.

    Returns:
        ``(row, m)``.
    """
    results = []
    for start in range(0, max(len(rows), 1), BLOCK):
        block = rows[start : start + BLOCK]
        filled = pad(block, (0, 0, 0, BLOCK - len(block)))
        results.append(function(filled)[: len(block)])
    return torch.cat(results)


def row_slices(count: int, width: int, budget: int = 2**24) -> Iterator[slice]:
    """Cut ``count`` rows into slices whose results stay small.

    Args:
        count: Number of rows.
        width: Numbers that one row's result holds.
        budget: Numbers that one slice's result may hold.

    Yields:
        Slices of a multiple of `BLOCK` rows, the last one perhaps shorter.
    """
    step = max(1, budget // (width * BLOCK)) * BLOCK
    for start in range(0, count, step):
        yield slice(start, min(start + step, count))
