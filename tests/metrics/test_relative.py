from __future__ import annotations

import pytest
import torch

from steppe.core.errors import InputError
from steppe.metrics import relative_distance


def test_on_the_straight_line_it_is_the_fraction_of_the_way() -> None:
    start, end = torch.randn(2, 8, generator=torch.Generator().manual_seed(0))
    fractions = torch.linspace(0, 1, 11)
    residual = start + fractions[:, None] * (end - start)
    torch.testing.assert_close(relative_distance(residual), fractions, rtol=1e-4, atol=1e-5)


def test_by_the_formula_and_with_an_end_of_ones_own() -> None:
    residual = torch.randn(5, 3, 8, generator=torch.Generator().manual_seed(1))
    end = torch.randn(3, 8, generator=torch.Generator().manual_seed(2))
    to_start = (residual - residual[0]).norm(dim=-1)
    to_end = (residual - end).norm(dim=-1)
    torch.testing.assert_close(relative_distance(residual, end), to_start / (to_start + to_end))


def test_where_nothing_moves_it_is_undefined() -> None:
    assert bool(relative_distance(torch.ones(4, 8)).isnan().all())


def test_an_end_of_another_shape_is_refused() -> None:
    with pytest.raises(InputError, match=r"\(7,\)"):
        relative_distance(torch.ones(4, 8), torch.ones(7))
