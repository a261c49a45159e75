"""Ranking by rate is what a full sort by (distance, id) gives."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from steppe.activations.rate_ranking import RateRanking
from steppe.core.errors import InputError
from steppe.sae.rates import FiringRates

# Few different values, so that ties are the rule.
RATE = st.sampled_from([0.0, 1e-6, 2e-6, 3e-6, 0.1, 0.2, 0.3, 0.30000000000000004])


@settings(deadline=None)
@given(st.lists(RATE, min_size=3, max_size=30), st.data(), st.booleans())
def test_against_a_full_sort(values: list[float], data: st.DataObject, alive_only: bool) -> None:
    rates = FiringRates.from_values(values)
    latent = data.draw(st.integers(0, len(values) - 1))
    count = data.draw(st.integers(1, len(values)))
    distance = np.abs(rates.values - rates.values[latent])
    distance[latent] = np.inf
    if alive_only:
        distance[~rates.alive] = np.inf
    expected = np.argsort(distance, kind="stable")[: min(count, np.isfinite(distance).sum())]
    ranking = RateRanking(rates, alive_only=alive_only)
    if len(expected) == 0:
        with pytest.raises(InputError):
            ranking.nearest(latent, count)
        return
    np.testing.assert_array_equal(ranking.nearest(latent, count), expected)
    np.testing.assert_array_equal(ranking.nearest(latent, 1), expected[:1])
