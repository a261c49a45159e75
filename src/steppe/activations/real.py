"""Which of the model's own activations each base is moved towards.

Giglemiani et al. 2024, section 4.2, "model-generated": one independent draw per base.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from steppe.activations.composition import one_generator_each
from steppe.activations.vectors import Vectors, as_vectors
from steppe.core.errors import InputError

MINIMUM_DISTANCE = 1e-3
_TRIES = 1000


@dataclass(frozen=True, eq=False)
class RealTargets:
    """Real activations drawn as targets.

    Attributes:
        targets: The activations, float32 on the CPU, ``(sample, d_model)``.
        indices: Which candidate each of them is, ``(sample,)``.
        redraws: How many draws fell on the base itself and were repeated, ``(sample,)``.
    """

    targets: Tensor
    indices: NDArray[np.int64]
    redraws: NDArray[np.int64]


def draw_real_targets(
    base: Vectors,
    candidates: Vectors,
    generators: Sequence[np.random.Generator],
    *,
    minimum_distance: float = MINIMUM_DISTANCE,
) -> RealTargets:
    """Draw one candidate per base, again where it is the base itself.

    Args:
        base: Base activations, ``(sample, d_model)``.
        candidates: Activations to choose from, ``(candidate, d_model)``.
        generators: One per sample.
        minimum_distance: A candidate nearer to the base than this (or at it) is drawn again.

    Raises:
        InputError: A base finds no candidate that differs from it.
    """
    bases = as_vectors(base, "base")
    pool = as_vectors(candidates, "candidates", width=bases.shape[1])
    one_generator_each(generators, len(bases))
    indices = np.empty(len(bases), dtype=np.int64)
    redraws = np.zeros(len(bases), dtype=np.int64)
    for sample, generator in enumerate(generators):
        tries = _TRIES if len(pool) else 0
        for attempt in range(tries):
            index = int(generator.integers(len(pool)))
            if float(torch.dist(pool[index], bases[sample])) > minimum_distance:
                redraws[sample] = attempt
                break
        else:
            raise InputError(
                f"real target of sample {sample}",
                got=f"{len(pool)} candidates, {tries} draws of which all equal the base",
                expected="candidates that differ from the base",
                fix="give more prompts",
            )
        indices[sample] = index
    return RealTargets(pool[torch.from_numpy(indices)], indices, redraws)
