from __future__ import annotations

import numpy as np
import pytest
import torch

from steppe.metrics.distance import cosine, l2

RANDOM = torch.Generator().manual_seed(0)


def test_l2_by_hand() -> None:
    residual = torch.tensor([[1.0, 2.0], [4.0, 6.0], [1.0, 2.0]])
    assert l2(residual).tolist() == [0.0, 5.0, 0.0]


def test_cosine_by_hand() -> None:
    residual = torch.tensor([[2.0, 0.0], [0.0, 3.0], [-1.0, 0.0], [1.0, 1.0]])
    expected = torch.tensor([1.0, 0.0, -1.0, 0.5**0.5])
    torch.testing.assert_close(cosine(residual), expected)


def test_step_0_is_exact_whatever_the_vector() -> None:
    for scale in (1e-3, 1.0, 3e3):
        for _ in range(50):
            residual = scale * torch.randn(3, 77, generator=RANDOM)
            assert float(l2(residual)[0]) == 0.0
            assert float(cosine(residual)[0]) == 1.0


def test_axes_between_step_and_d_model_are_kept() -> None:
    residual = torch.randn(4, 5, 6, generator=RANDOM)
    for measure in (l2, cosine):
        whole = measure(residual)
        assert whole.shape == (4, 5)
        torch.testing.assert_close(whole[:, 2], measure(residual[:, 2]))


def test_a_zero_vector_has_no_cosine() -> None:
    found = cosine(torch.tensor([[1.0, 0.0], [0.0, 0.0]]))
    assert np.isnan(float(found[1]))


@pytest.mark.parametrize("measure", [l2, cosine])
def test_inputs_are_left_unchanged(measure: object) -> None:
    residual = torch.randn(4, 6, generator=RANDOM)
    copy = residual.clone()
    measure(residual)  # type: ignore[operator]
    assert torch.equal(residual, copy)
