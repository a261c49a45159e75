"""The baseline: an interpolated 5-gram model with modified Kneser-Ney smoothing over tokens.

Chen and Goodman 1999. The highest order uses counts, the lower ones the number of distinct
tokens that precede. An n-gram is one 64-bit integer, its first token in the highest digit.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Keys = NDArray[np.uint64]
Counts = NDArray[np.int64]
Probabilities = NDArray[np.float64]


@dataclass(frozen=True)
class Order:
    """The statistics of one n-gram length."""

    grams: Keys
    """Distinct n-grams, ascending."""
    discounted: Probabilities
    """Count less its discount, for each n-gram."""
    contexts: Keys
    """Distinct first n - 1 tokens, ascending."""
    totals: Counts
    """Sum of the counts after each context."""
    left_over: Probabilities
    """Sum of the discounts after each context."""


def fit(tokens: NDArray[np.uint16], vocabulary: int, length: int = 5) -> list[Order]:
    """Counts n-grams of every length up to `length`.

    Args:
        tokens: the training stream, shape (tokens,).
        vocabulary: number of token ids; vocabulary ** length must fit 64 bits.
        length: the longest n-gram.

    Returns:
        Orders 1 to `length`.
    """
    if vocabulary**length > 2**64:
        raise ValueError(f"{length}-grams over {vocabulary} tokens do not fit 64 bits")
    grams, counts = np.unique(_joined(tokens, vocabulary, length), return_counts=True)
    orders = []
    for size in range(length, 0, -1):
        orders.append(_order(grams, counts.astype(np.int64), vocabulary))
        # A shorter n-gram counts once for every distinct token seen before it.
        grams, counts = np.unique(grams % np.uint64(vocabulary ** (size - 1)), return_counts=True)
    return orders[::-1]


def cross_entropy(
    orders: list[Order], tokens: NDArray[np.uint16], vocabulary: int
) -> tuple[float, NDArray[np.uint16]]:
    """Returns the mean negative log-probability in nats per token, and the tokens predicted.

    Args:
        orders: as `fit` returns them.
        tokens: held-out stream, shape (tokens,); all but the first few are predicted.
        vocabulary: number of token ids.
    """
    length = len(orders)
    joined = _joined(tokens, vocabulary, length)
    probability = np.full(len(joined), 1.0 / vocabulary)
    for size, order in enumerate(orders, start=1):
        grams = joined % np.uint64(vocabulary**size)
        own, _ = _looked_up(order.grams, order.discounted, grams)
        place = grams // np.uint64(vocabulary)
        total, known = _looked_up(order.contexts, order.totals, place)
        left_over, _ = _looked_up(order.contexts, order.left_over, place)
        mixed = (own + left_over * probability) / np.maximum(total, 1)
        probability = np.where(known, mixed, probability)
    return float(-np.log(probability).mean()), tokens[length - 1 :]


def _joined(tokens: NDArray[np.uint16], vocabulary: int, length: int) -> Keys:
    joined = np.zeros(len(tokens) - length + 1, dtype=np.uint64)
    for place in range(length):
        joined *= np.uint64(vocabulary)
        joined += tokens[place : place + len(joined)]
    return joined


def _order(grams: Keys, counts: Counts, vocabulary: int) -> Order:
    discounts = _discounts(counts)[np.minimum(counts, 3)]
    contexts, starts = np.unique(grams // np.uint64(vocabulary), return_index=True)
    return Order(
        grams,
        counts - discounts,
        contexts,
        np.add.reduceat(counts, starts),
        np.add.reduceat(discounts, starts),
    )


def _discounts(counts: Counts) -> Probabilities:
    """Returns the discounts of counts 0, 1, 2 and 3 or more."""
    once, twice, thrice, four = (int((counts == count).sum()) for count in (1, 2, 3, 4))
    if min(once, twice, thrice) == 0:
        # Too little text for the estimate (every token seen often): plain absolute discounting.
        return np.array([0.0, 0.5, 0.5, 0.5])
    ratio = once / (once + 2 * twice)
    estimates = [
        0.0,
        1 - 2 * ratio * twice / once,
        2 - 3 * ratio * thrice / twice,
        3 - 4 * ratio * four / thrice,
    ]
    return np.clip(estimates, 0.0, [0.0, 1.0, 2.0, 3.0])


def _looked_up(
    keys: Keys, values: Counts | Probabilities, wanted: Keys
) -> tuple[Probabilities, NDArray[np.bool_]]:
    places = np.minimum(np.searchsorted(keys, wanted), len(keys) - 1)
    known = keys[places] == wanted
    return np.where(known, values[places], 0).astype(np.float64), known
