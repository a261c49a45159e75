"""Latent statistics equal a direct computation."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from steppe.activations.latent_statistics import COSINE_EDGES, latent_statistics
from steppe.sae.model import Sae


def test_by_hand(identity_sae: Sae) -> None:
    base = torch.zeros(3, 12)
    base[0, [1, 4, 7]] = torch.tensor([1.0, 6.0, 3.0])
    base[1, 2] = 5.0
    found = latent_statistics(base, identity_sae)
    np.testing.assert_array_equal(found.l0, [3, 1, 0])
    np.testing.assert_allclose(found.share[0, :4], [60, 30, 10, np.nan])
    np.testing.assert_allclose(found.share[1, :2], [100, np.nan])
    assert np.isnan(found.share[2]).all()
    np.testing.assert_array_equal(found.pair_cosine, [0, np.nan, np.nan])
    assert (found.pairs.count, found.tops.count) == (3, 2)
    assert found.pairs.counts[np.searchsorted(COSINE_EDGES, 0.0)] == 3


def test_against_a_direct_computation(oracle: dict[str, NDArray[Any]], oracle_sae: Sae) -> None:
    x = torch.from_numpy(oracle["base"])
    found = latent_statistics(x, oracle_sae)
    units = torch.nn.functional.normalize(oracle_sae.W_dec.double(), dim=1)
    pairs, tops = [], []
    for sample, latents in enumerate(oracle_sae.encode(x)):
        ids = latents.nonzero().flatten()
        assert found.l0[sample] == len(ids)
        ordered = latents[ids].sort(descending=True).values[:10].double()
        share = 100 * ordered / latents.double().sum()
        np.testing.assert_allclose(found.share[sample, : len(share)], share, rtol=1e-6)
        cosines = units[ids] @ units[ids].T
        pairs += cosines[torch.triu_indices(len(ids), len(ids), 1).unbind()].tolist()
        others = ids[ids != latents.argmax()]
        to_top = (units[others] @ units[latents.argmax()]).tolist()
        tops += to_top
        mean = np.mean(to_top) if to_top else np.nan
        assert found.top_cosine[sample] == pytest.approx(mean, nan_ok=True)
    for counts, values in ((found.pairs, pairs), (found.tops, tops)):
        assert counts.count == len(values)
        assert counts.mean == pytest.approx(np.mean(values))
        assert counts.std == pytest.approx(np.std(values))
        np.testing.assert_array_equal(counts.counts, np.histogram(values, COSINE_EDGES)[0])


def test_no_activation_has_two_latents(identity_sae: Sae) -> None:
    found = latent_statistics(torch.eye(12), identity_sae)
    assert found.pairs.count == 0
    assert np.isnan(found.pairs.mean)
    assert found.pairs.counts.sum() == 0
