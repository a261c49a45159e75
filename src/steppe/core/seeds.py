"""Named, independent random streams from one run seed.

A stream is addressed by its name and by the indices of what it is drawn for, so adding a kind,
changing the batch size or the number of workers changes no other draw.
"""

from __future__ import annotations

import zlib

import numpy as np


def stream(seed: int, name: str, *indices: int) -> np.random.Generator:
    """Return the generator of one named stream.

    Args:
        seed: The run's seed, a non-negative integer.
        name: What is drawn, for instance ``"random_target"``.
        indices: For which sample (and draw) it is drawn.

    Returns:
        A fresh Philox generator; the same arguments always give the same numbers.
    """
    key = (zlib.crc32(name.encode()), *indices)
    return np.random.Generator(np.random.Philox(np.random.SeedSequence(seed, spawn_key=key)))
