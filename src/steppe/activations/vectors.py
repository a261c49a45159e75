"""Activations as this package takes them: tensors or arrays, of any device and type."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor

from steppe.core.errors import InputError

Vectors = Tensor | ArrayLike


def as_vectors(vectors: Vectors, name: str, *, width: int | None = None) -> Tensor:
    """Return activations as float32 rows on the CPU.

    Args:
        vectors: Activations, ``(sample, d_model)``.
        name: What they are called in an error message.
        width: The ``d_model`` they must have.

    Returns:
        A new or the same tensor, float32, ``(sample, d_model)``.

    Raises:
        InputError: They have another shape, or hold NaN or infinities.
    """
    tensor = vectors if isinstance(vectors, Tensor) else torch.from_numpy(np.asarray(vectors))
    tensor = tensor.detach().to(device="cpu", dtype=torch.float32)
    expected = f"shape (sample, {width or 'd_model'})"
    if tensor.ndim != 2 or (width is not None and tensor.shape[1] != width):
        raise InputError(
            name,
            got=f"shape {tuple(tensor.shape)}",
            expected=expected,
            fix="give one activation a row, of the same model and site",
        )
    broken = ~torch.isfinite(tensor).all(dim=1)
    if broken.any():
        rows = broken.nonzero().flatten().tolist()
        raise InputError(
            name,
            got=f"NaN or infinity in {len(rows)} rows, the first is row {rows[0]}",
            expected=f"{expected} of finite numbers",
            fix="check the model's weights and its dtype",
        )
    return tensor
