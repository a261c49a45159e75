"""Rows go through in blocks of one shape, and come back in order."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from steppe.sae.blocks import BLOCK, in_blocks, row_slices


@pytest.mark.parametrize("count", [0, 1, BLOCK - 1, BLOCK, BLOCK + 1, 3 * BLOCK])
def test_blocks_of_one_shape(count: int) -> None:
    shapes = set()

    def double(block: Tensor) -> Tensor:
        shapes.add(tuple(block.shape))
        return 2 * block

    rows = torch.arange(count * 3.0).reshape(count, 3)
    assert torch.equal(in_blocks(double, rows), 2 * rows)
    assert shapes == {(BLOCK, 3)}


def test_slices_cover_all_rows_in_whole_blocks() -> None:
    slices = list(row_slices(1000, width=10, budget=2000))
    assert [part.stop - part.start for part in slices] == [192] * 5 + [40]
    assert list(row_slices(5, width=10**9)) == [slice(0, 5)]
    assert list(row_slices(0, width=10)) == []
