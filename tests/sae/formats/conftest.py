"""Random numbers in the shapes of an SAE, folders to put them in, and activations."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from steppe.sae.loading import read_sae
from steppe.sae.model import Sae

D_IN, D_SAE = 6, 16
Array = NDArray[np.float64]


@dataclass(frozen=True)
class Draws:
    """Random numbers of an SAE, by steppe's names: ``W_enc`` is (d_in, latent)."""

    W_enc: Array
    b_enc: Array
    W_dec: Array
    b_dec: Array
    threshold: Array
    other: Array

    def pre(self, x: Array, *, subtract: bool) -> Array:
        return (x - self.b_dec * subtract) @ self.W_enc + self.b_enc

    def decoded(self, latents: Array) -> Array:
        return latents @ self.W_dec + self.b_dec


def largest(values: Array, k: int) -> Array:
    """Only the k largest of each row."""
    kept = np.zeros_like(values)
    order = np.argsort(-values, axis=-1)[:, :k]
    np.put_along_axis(kept, order, np.take_along_axis(values, order, axis=-1), axis=-1)
    return kept


def relu(values: Array) -> Array:
    return np.maximum(values, 0)


@pytest.fixture
def draws() -> Draws:
    random = np.random.default_rng(0)

    def draw(*shape: int) -> Array:
        # As float32 holds them, so that the definition is given what the file is.
        return random.normal(size=shape).astype(np.float32).astype(np.float64)

    return Draws(
        draw(D_IN, D_SAE), draw(D_SAE), draw(D_SAE, D_IN), draw(D_IN), abs(draw(D_SAE)), draw(D_SAE)
    )


@pytest.fixture
def x() -> Array:
    return 2 * np.random.default_rng(1).normal(size=(30, D_IN)).astype(np.float32).astype(float)


@pytest.fixture
def agrees(x: Array) -> Callable[[Path, Array, Array], Sae]:
    """Checks an SAE's latents and reconstructions of `x` against those of the definition."""

    def check(place: Path, latents: Array, output: Array) -> Sae:
        sae = read_sae(place, dtype="float64")
        found = sae.encode(torch.from_numpy(x))
        assert int((found != 0).sum()) > 0
        np.testing.assert_allclose(found.numpy(), latents, atol=1e-5)
        decoded = sae.decode(found, like=torch.from_numpy(x))
        np.testing.assert_allclose(decoded.numpy(), output, atol=1e-5)
        return sae

    return check


def tensors(arrays: Mapping[str, Array]) -> dict[str, Tensor]:
    """Arrays as torch's files hold them."""
    return {
        name: torch.from_numpy(np.ascontiguousarray(values)).float()
        for name, values in arrays.items()
    }


def write_json(path: Path, content: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content))
