from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from steppe.core.errors import InputError
from steppe.directions import pca, random, random_difference, sae_top
from steppe.models import Model

POOL = torch.randn(200, 6, generator=torch.Generator().manual_seed(0)) * torch.tensor(
    [5.0, 3.0, 2.0, 1.0, 0.5, 0.1]
)


def test_principal_components_are_eigenvectors_of_the_covariance() -> None:
    found = pca(POOL + 7, 3)
    values, vectors = np.linalg.eigh(np.cov(POOL.numpy().T.astype(np.float64)))
    for number in range(3):
        own = vectors[:, -1 - number]
        own = own * np.sign(own[np.abs(own).argmax()])
        np.testing.assert_allclose(found.vectors[number], own, atol=1e-5)
        share = values[-1 - number] / values.sum()
        assert found.facts[number]["share_of_variance"] == pytest.approx(share, rel=1e-4)
    assert found.names == ("pca:1", "pca:2", "pca:3")


def test_random_directions_hang_on_seed_and_number_alone(model: Model) -> None:
    found = random(model, 3)
    torch.testing.assert_close(found.vectors[:1], random(model, 1).vectors)
    assert not torch.equal(found.vectors, random(model, 3, seed=1).vectors)
    torch.testing.assert_close(found.vectors.norm(dim=1), torch.ones(3))
    assert float(found.vectors.mean(dim=1).abs().max()) < 1e-6  # centred coordinates


def test_random_differences_are_of_two_activations_each() -> None:
    found = random_difference(POOL, 4)
    torch.testing.assert_close(found.vectors[:2], random_difference(POOL, 2).vectors)
    differences = torch.nn.functional.normalize(POOL[:, None] - POOL, dim=-1)
    for vector in found.vectors:
        assert float((differences @ vector).max()) > 1 - 1e-5
    with pytest.raises(InputError, match="2 activations"):
        random_difference(torch.ones(2, 4))


def test_top_latents_are_those_most_active_on_average() -> None:
    decoder = torch.eye(6)[:4] * torch.tensor([1.0, 2.0, 3.0, 4.0])[:, None]
    sae = SimpleNamespace(
        W_dec=decoder,
        encode=lambda x: torch.relu(x[:, :4]) * torch.tensor([0.1, 1.0, 9.0, 0.0]),
        decode=None,
    )
    found = sae_top(sae, POOL, 3)  # type: ignore[arg-type]
    means = (torch.relu(POOL[:, :4]) * torch.tensor([0.1, 1.0, 9.0, 0.0])).mean(0)
    order = means.argsort(descending=True)[:3]
    assert [fact["latent"] for fact in found.facts] == order.tolist() == [2, 1, 0]
    torch.testing.assert_close(found.vectors, torch.eye(6)[order])
    with pytest.raises(InputError, match=r"(?s)4.*1 to 3"):
        sae_top(sae, POOL, 4)  # type: ignore[arg-type]


def test_more_than_there_are_is_refused(model: Model) -> None:
    for count in (0, 7):
        with pytest.raises(InputError, match=f"(?s)pca.*{count}.*1 to 6"):
            pca(POOL, count)
    with pytest.raises(InputError, match="1 to 2 of"):
        pca(POOL[:3], 3)
    with pytest.raises(InputError, match="random"):
        random(model, 0)
