"""Dropout factors: their share, their size, and the same ones for the same batch."""

from __future__ import annotations

import pytest
import torch

from model_training.dropout import Dropout
from model_training.language_model import Shape

SHAPE = Shape(layers=2, width=32, heads=2, vocabulary=50, positions=16)
INPUTS = torch.zeros(8, 16, dtype=torch.long)


def dropout(share: float = 0.1, seed: int = 0) -> Dropout:
    return Dropout(share, SHAPE, seed, "cpu", torch.float32)


def test_share_and_mean() -> None:
    kept = dropout(0.25).kept(3, INPUTS)
    assert kept is not None
    assert kept.shape == (5, 8, 16, 32)
    assert float((kept == 0).float().mean()) == pytest.approx(0.25, abs=0.01)
    assert float(kept.mean()) == pytest.approx(1, abs=0.02)


def test_nothing_is_drawn_for_a_share_of_zero() -> None:
    assert dropout(0.0).kept(0, INPUTS) is None


def test_the_batch_number_decides() -> None:
    first, again = dropout(), dropout()
    first.kept(0, INPUTS)
    assert torch.equal(first.kept(7, INPUTS), again.kept(7, INPUTS))
    assert not torch.equal(first.kept(7, INPUTS), first.kept(8, INPUTS))
    assert not torch.equal(dropout(seed=1).kept(7, INPUTS), again.kept(7, INPUTS))
