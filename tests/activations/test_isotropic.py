"""Isotropic targets: at the real distance in the text reading, standard normal in the code one."""

from __future__ import annotations

import numpy as np
import torch

from steppe.activations.isotropic import isotropic
from steppe.core.seeds import stream

RNG = np.random.default_rng(0)
BASE, REAL = torch.from_numpy(RNG.standard_normal((2, 500, 16))).float()


def generators() -> list[np.random.Generator]:
    return [stream(0, "isotropic_target", sample) for sample in range(500)]


def test_the_text_reading_keeps_the_distance() -> None:
    targets = isotropic(BASE, REAL, generators())
    torch.testing.assert_close((targets - BASE).norm(dim=1), (REAL - BASE).norm(dim=1))
    assert float((targets - BASE).mean(dim=1).abs().max()) < 1e-6


def test_the_code_reading_is_standard_normal() -> None:
    targets = isotropic(BASE, REAL, generators(), reading="code")
    assert float(targets.mean(dim=1).abs().max()) < 1e-6
    assert abs(float(targets.square().sum(dim=1).mean()) - 15) < 1


def test_raw_coordinates_keep_their_mean() -> None:
    for reading in ("code", "text"):
        targets = isotropic(BASE, REAL, generators(), reading=reading, centered=False)
        assert float((targets - BASE).mean(dim=1).abs().mean()) > 0.05
