"""Numbers as text for a page's script: 4 bytes each, or 2 where a series has its own scale."""

from __future__ import annotations

import base64
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from numpy.typing import NDArray

_UNDEFINED = 2**16 - 1
_SCALE = _UNDEFINED - 1


@contextmanager
def undefined_is_nan() -> Iterator[None]:
    """Series that are undefined throughout have no mean: NaN says so, and nothing else has to."""
    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        yield


def packed(rows: NDArray[Any]) -> dict[str, str]:
    """Series in 16 bits a value, each between its own smallest and largest value.

    Args:
        rows: ``(..., value)``; what is not finite is undefined.
    """
    rows = np.where(np.isfinite(rows), rows, np.nan).astype(np.float64)
    with undefined_is_nan():
        low, high = np.nanmin(rows, axis=-1), np.nanmax(rows, axis=-1)
        width = np.where(high > low, high - low, 1.0)
        scaled = (rows - low[..., None]) / width[..., None] * _SCALE
    whole = np.where(np.isfinite(scaled), np.round(scaled), _UNDEFINED)
    return {"values": text_of(whole, "<u2"), "low": floats(low), "width": floats(width)}


def floats(values: NDArray[Any]) -> str:
    """Numbers in 4 bytes each."""
    return text_of(values, "<f4")


def text_of(values: NDArray[Any], kind: str) -> str:
    """Numbers of a kind, as text."""
    return base64.b64encode(np.ascontiguousarray(values, dtype=kind).tobytes()).decode()
