"""The 5-gram baseline is a probability distribution and learns what can be learned."""

from __future__ import annotations

import numpy as np
import pytest

from model_training import ngram

VOCABULARY = 12


def markov_tokens(length: int, seed: int) -> np.ndarray:
    generator = np.random.default_rng(seed)
    table = np.random.default_rng(9).dirichlet(np.full(VOCABULARY, 0.3), size=VOCABULARY)
    tokens = [0]
    for _ in range(length - 1):
        tokens.append(int(generator.choice(VOCABULARY, p=table[tokens[-1]])))
    return np.array(tokens, dtype=np.uint16)


def test_probabilities_sum_to_one() -> None:
    orders = ngram.fit(markov_tokens(3000, 0), VOCABULARY, length=3)
    for context in ([1, 2], [7, 7], [11, 0]):
        losses = [
            ngram.cross_entropy(orders, np.array([*context, token], dtype=np.uint16), VOCABULARY)[0]
            for token in range(VOCABULARY)
        ]
        assert np.exp(-np.array(losses)).sum() == pytest.approx(1.0)


def test_loss_approaches_the_entropy_of_the_source() -> None:
    train, held_out = markov_tokens(60_000, 0), markov_tokens(5000, 1)
    table = np.random.default_rng(9).dirichlet(np.full(VOCABULARY, 0.3), size=VOCABULARY)
    entropy = -np.log(table[held_out[:-1], held_out[1:]]).mean()
    loss, predicted = ngram.cross_entropy(ngram.fit(train, VOCABULARY), held_out, VOCABULARY)
    assert len(predicted) == len(held_out) - 4
    assert entropy - 0.02 < loss < entropy + 0.15


def test_too_many_tokens_are_refused() -> None:
    with pytest.raises(ValueError, match="do not fit 64 bits"):
        ngram.fit(markov_tokens(100, 0), 10_000)
