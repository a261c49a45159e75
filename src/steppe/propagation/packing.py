"""Matrices kept a second time in oneDNN's packed order, for as long as the weights stay the same.

A weight can be changed without a trace (``weight.data.zero_()``), so that what was packed is
compared with the weights, all of them, before it is used: once while `weights_stay`, which costs
about as much as reading them.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from weakref import WeakKeyDictionary, WeakSet

import numpy as np
import torch
from torch import Tensor, nn

from steppe.core.seeds import stream

# For how many rows matrices are packed; the numbers do not depend on it, other batches are welcome.
_ROWS = 128
# Odd, so that no change of a single word can cancel.
_KEYS = stream(0, "packing").integers(0, 2**63, 512, dtype=np.int64) | 1


@dataclass(frozen=True)
class _Packed:
    """A packed matrix, and of which weights it was made."""

    matrix: Tensor
    state: tuple[int, int]
    content: bytes


_packed: WeakKeyDictionary[nn.Module, _Packed] = WeakKeyDictionary()
_compared: WeakSet[nn.Module] = WeakSet()
_open = 0


@contextmanager
def weights_stay() -> Iterator[None]:
    """Say that weights stay the same meanwhile, so that they are compared once and not per prompt.

    May be entered several times at once, and be left in any order.
    """
    hold_weights()
    try:
        yield
    finally:
        release_weights()


def hold_weights() -> None:
    """Begin what `release_weights` ends; see `weights_stay`."""
    global _open
    _open += 1


def release_weights() -> None:
    """End what `hold_weights` began."""
    global _open
    _open -= 1
    if not _open:
        _compared.clear()


def packed(module: Any, *, transposed: bool) -> Tensor:
    """The packed weights of a linear module, as the weights are now.

    Args:
        module: Its weights lie on a processor.
        transposed: Whether they are stored the other way round than `nn.Linear` does.
    """
    weight = module.weight.detach()
    state, known = state_of(module), _packed.get(module)
    if known is not None and known.state == state and module in _compared:
        return known.matrix
    content = content_of(weight)
    if known is None or known.content != content:
        matrix = weight.t().contiguous() if transposed else weight
        known = _Packed(torch.ops.mkldnn._reorder_linear_weight(matrix, _ROWS), state, content)
    else:
        known = _Packed(known.matrix, state, content)
    _packed[module] = known
    if _open:
        _compared.add(module)
    return known.matrix


def state_of(module: Any) -> tuple[int, int]:
    """Where a module's weights lie, and how often torch knows them to have been changed."""
    weight = module.weight
    return weight.data_ptr(), 0 if weight.is_inference() else weight._version


def content_of(weight: Tensor) -> bytes:
    """A hash of a matrix' format, shape and bits, at the speed of reading them once."""
    flat = weight.contiguous().reshape(-1).view(torch.uint8).numpy()
    rows = len(flat) // (8 * len(_KEYS))
    whole = flat[: rows * 8 * len(_KEYS)].view(np.int64).reshape(rows, len(_KEYS))
    digest = hashlib.sha256(f"{weight.dtype} {tuple(weight.shape)}".encode())
    # Sums modulo 2^64 of words times odd keys, one for every 4 KiB.
    digest.update(np.einsum("ij,j->i", whole, _KEYS).tobytes())
    digest.update(flat[whole.nbytes :].tobytes())
    return digest.digest()
