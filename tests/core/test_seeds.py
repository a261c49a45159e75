from __future__ import annotations

import numpy as np

from steppe.core.seeds import stream


def draw(*address: object) -> list[float]:
    return stream(*address).standard_normal(8).tolist()  # type: ignore[arg-type]


def test_a_stream_is_the_same_whenever_it_is_asked_for() -> None:
    assert draw(0, "random_target", 3) == draw(0, "random_target", 3)


def test_streams_of_other_seeds_names_and_samples_differ() -> None:
    streams = [(0, "a", 3), (1, "a", 3), (0, "b", 3), (0, "a", 4), (0, "a"), (0, "a", 3, 0)]
    assert len({tuple(draw(*address)) for address in streams}) == len(streams)


def test_neighbouring_samples_are_uncorrelated() -> None:
    draws = np.stack([stream(0, "a", i).standard_normal(2000) for i in range(20)])
    correlations = np.corrcoef(draws)[np.triu_indices(20, 1)]
    assert np.abs(correlations).max() < 0.12
