"""Sets of latents drawn independently, by what is active beside them, or by Gibbs sampling.

All three begin with latents that are given and draw the others without replacement.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from steppe.activations.composition import Ids, check_enough
from steppe.activations.pool_latents import PoolLatents

Floats = NDArray[np.float64]
SWEEPS = 20
"""How often Gibbs sampling draws each latent anew, given the others."""


def draw_unpaired(
    pool: PoolLatents, given: Sequence[int], size: int, generator: np.random.Generator
) -> Ids:
    """Latents drawn by how often each is active, whatever the others are.

    Args:
        pool: The latents of real activations.
        given: Latents that are in the set.
        size: Number of latents of the set.
        generator: Draws.

    Returns:
        The latents, those given first, ``(size,)``.
    """
    return _one_by_one(pool, given, size, lambda _: pool.counts, generator)


def draw_greedily(
    pool: PoolLatents, given: Sequence[int], size: int, generator: np.random.Generator
) -> Ids:
    """Latents drawn by how often each is active where those already drawn are; as `draw_unpaired`.

    Weights are the mean over those drawn of the share of their activations in which it is active.
    """
    counts = pool.counts

    def weights(chosen: Sequence[int]) -> Floats:
        shares = [pool.together(one) / max(counts[one], 1) for one in chosen]
        return np.sum(shares, axis=0) if chosen else counts

    return _one_by_one(pool, given, size, weights, generator)


def draw_by_gibbs(
    pool: PoolLatents, given: Sequence[int], size: int, generator: np.random.Generator
) -> Ids:
    """Latents of a pairwise model of co-activation, from an unpaired start; as `draw_unpaired`.

    A set's probability is in proportion to the product of its latents' counts and of the lifts of
    its pairs (`PoolLatents.log_lift`).
    """
    start = draw_unpaired(pool, given, size, generator)
    with np.errstate(divide="ignore"):
        return gibbs(np.log(pool.counts), pool.log_lift, start, len(given), generator)


def gibbs(
    log_weights: Floats,
    log_pairs: Callable[[int], Floats],
    start: Ids,
    n_given: int,
    generator: np.random.Generator,
) -> Ids:
    """Sample a set of fixed size, in proportion to the product of its weights and its pairs'.

    Args:
        log_weights: Of each latent; ``-inf`` for one that is never drawn, ``(latent,)``.
        log_pairs: From a latent to that of its pairs with each other one, ``(latent,)``.
        start: The set it starts from, ``(size,)``.
        n_given: How many of its first latents stay.
        generator: Draws.
    """
    chosen = start.copy()
    if len(chosen) == 0:
        return chosen
    pairs = np.sum([log_pairs(int(one)) for one in chosen], axis=0)
    for _ in range(SWEEPS):
        for place in range(n_given, len(chosen)):
            pairs = pairs - log_pairs(int(chosen[place]))
            logits = log_weights + pairs
            logits[np.delete(chosen, place)] = -np.inf
            # The largest of logits with Gumbel noise is a draw in proportion to their exponentials.
            chosen[place] = int(np.argmax(logits + generator.gumbel(size=len(logits))))
            pairs = pairs + log_pairs(int(chosen[place]))
    return chosen


def _one_by_one(
    pool: PoolLatents,
    given: Sequence[int],
    size: int,
    weights_of: Callable[[Sequence[int]], Floats],
    generator: np.random.Generator,
) -> Ids:
    check_enough(size, int((pool.counts > 0).sum()))
    chosen = list(given)
    while len(chosen) < size:
        weights = weights_of(chosen).copy()
        weights[chosen] = 0
        if not weights.any():
            # Nothing was ever active beside those chosen.
            weights = pool.counts
            weights[chosen] = 0
        chosen.append(int(generator.choice(len(weights), p=weights / weights.sum())))
    return np.array(chosen, dtype=np.int64)
