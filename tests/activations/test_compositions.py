"""Compositions keep what they say of a real activation, and draw the rest as they say."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import combinations

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from steppe.activations import (
    PoolLatents,
    TargetRequest,
    make_targets,
    sae_reconstruction,
    without_latents,
)
from steppe.activations.composition import ActiveLatents
from steppe.activations.cooccurrence import draw_by_gibbs, draw_greedily, draw_unpaired, gibbs
from steppe.core.errors import InputError
from steppe.core.seeds import stream
from steppe.sae.model import Sae
from steppe.sae.rates import FiringRates

PLAIN = ["permuted", "bag", "weighted", "norm_matched", "unpaired", "greedy", "gibbs"]


def streams(count: int) -> Callable[[str], Sequence[np.random.Generator]]:
    return lambda name: [stream(0, name, sample) for sample in range(count)]


@pytest.fixture
def request_(identity_sae: Sae) -> TargetRequest:
    """Thirty activations of three latents each, values all different; latents can be read off."""
    generator = np.random.default_rng(0)
    pool = torch.zeros(200, 12)
    for row in pool:
        row[generator.choice(12, 3, replace=False)] = torch.tensor([1.0, 2.0, 4.0])
    rates = FiringRates.from_values((pool > 0).double().mean(0).numpy())
    return TargetRequest(
        base=torch.ones(30, 12),
        real=pool[:30],
        generators=streams(30),
        sae=identity_sae,
        rates=rates,
        pool=pool,
    )


def values_of(rows: Tensor) -> list[list[float]]:
    return [sorted(row[row != 0].tolist()) for row in rows]


@pytest.mark.parametrize("kind", PLAIN)
def test_a_sample_does_not_depend_on_the_others(request_: TargetRequest, kind: str) -> None:
    found = make_targets(f"composed_{kind}", request_)
    assert torch.equal(found, make_targets(f"composed_{kind}", request_))
    few = replace(request_, base=request_.base[:3], real=request_.real[:3], generators=streams(3))
    assert torch.equal(make_targets(f"composed_{kind}", few), found[:3])


@pytest.mark.parametrize("kind", ["permuted", "bag", "weighted", "unpaired", "greedy", "gibbs"])
def test_activations_are_the_real_targets(request_: TargetRequest, kind: str) -> None:
    # Every latent's own values are 1, 2 and 4, so that those drawn are among them.
    found = make_targets(f"composed_{kind}", request_)
    if kind == "weighted":
        assert set(found.unique().tolist()) == {0.0, 1.0, 2.0, 4.0}
        assert ((found > 0).sum(1) == 3).all()
    else:
        assert values_of(found) == values_of(request_.real)


def test_permuted_keeps_latents_and_not_their_activations(request_: TargetRequest) -> None:
    found = make_targets("composed_permuted", request_)
    assert torch.equal(found > 0, request_.real > 0)
    assert not torch.equal(found, request_.real)


def test_the_bag_shares_no_latent(request_: TargetRequest) -> None:
    found = make_targets("composed_bag", request_)
    assert not ((found > 0) & (request_.real > 0)).any()


def test_weighted_keeps_the_order(request_: TargetRequest) -> None:
    found, bag = (make_targets(f"composed_{kind}", request_) for kind in ("weighted", "bag"))
    assert torch.equal(found > 0, bag > 0)
    for row, kept in zip(found, bag, strict=True):
        order = kept[kept > 0].argsort()
        assert (row[row > 0][order].diff() >= 0).all()


def test_norms_are_the_real_targets_about_the_decoders_bias(request_: TargetRequest) -> None:
    sae = request_.sae
    assert isinstance(sae, Sae)
    sae.b_dec.data += 0.5
    try:
        found = make_targets("composed_norm_matched", request_)
        bag, center = make_targets("composed_bag", request_), without_latents(sae, 12).clone()
    finally:
        sae.b_dec.data.zero_()
    norms = (found - center).double().norm(dim=1)
    wanted = (request_.real - center).double().norm(dim=1)
    assert torch.allclose(norms, wanted, rtol=1e-6, atol=0)
    cosines = torch.cosine_similarity((found - center).double(), (bag - center).double())
    assert torch.allclose(cosines, torch.ones(30, dtype=torch.float64), atol=1e-6)


def test_the_dial_goes_from_the_bag_to_the_reconstruction(request_: TargetRequest) -> None:
    sae = request_.sae
    assert isinstance(sae, Sae)
    ends = [make_targets(f"composed_dial:{share}", request_) for share in (0, 1)]
    assert torch.equal(ends[0], make_targets("composed_bag", request_))
    assert torch.equal(ends[1], sae_reconstruction(request_.real, sae))
    third = make_targets("composed_dial:0.33", request_)
    kept = (third > 0) & (request_.real > 0)
    assert (kept.sum(1) == 1).all()
    assert (third[kept] == 4).all()
    assert torch.equal(third * ~kept, ends[0] * ~kept * (third > 0))


def test_thresholds_leave_out_the_weak_ones(request_: TargetRequest) -> None:
    # Norm sqrt(21): latents of 1, 2 and 4 are 21.8, 43.6 and 87.3% of it.
    for percent, kept in ((0, 3), (21, 3), (22, 2), (43, 2), (44, 1), (88, 0)):
        found = make_targets(f"composed_thresholded:{percent}", request_)
        assert ((found > 0).sum(1) == kept).all()
        assert torch.equal(found[found > 0], request_.real[found > 0])


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("composed_dial:2", "a number from 0 to 1 after the colon: the share"),
        ("composed_thresholded:much", "a number from 0 to 100 after the colon: the percent"),
        ("composed_dial:nan", "got: +nan"),
    ],
)
def test_numbers_out_of_range_are_refused(
    request_: TargetRequest, name: str, expected: str
) -> None:
    with pytest.raises(InputError, match=expected):
        make_targets(name, request_)


def test_what_needs_a_pool_says_so(request_: TargetRequest) -> None:
    with pytest.raises(InputError, match="expected: pool"):
        make_targets("composed_gibbs", replace(request_, pool=None))


def planted() -> PoolLatents:
    """Latents 0-1-2 and 3-4-5 are active together, 6 alone with either, 7 never."""
    sets = [[0, 1, 2]] * 60 + [[3, 4, 5]] * 30 + [[0, 1, 6]] * 6 + [[3, 4, 6]] * 6
    found = [ActiveLatents(np.array(ids), np.ones(3, np.float32)) for ids in sets]
    return PoolLatents.of_active(found, 8)


def test_what_is_active_together_is_counted() -> None:
    pool = planted()
    assert pool.counts.tolist() == [66, 66, 60, 36, 36, 30, 12, 0]
    assert pool.together(6).tolist() == [6, 6, 0, 6, 6, 0, 0, 0]
    assert pool.values_of(7).size == 0
    np.testing.assert_allclose(pool.log_lift(0)[1], np.log((66 + 1) / (66 * 66 / 102 + 1)))


def test_greedy_draws_follow_what_is_active_together() -> None:
    pool, generator = planted(), np.random.default_rng(0)
    drawn = [draw_greedily(pool, [0], 3, generator) for _ in range(400)]
    # After 0 comes 1, 2 or 6, and after 6 one of both groups; never 5, which is beside neither.
    assert {int(one) for ids in drawn for one in ids} == {0, 1, 2, 3, 4, 6}
    assert {*np.stack(drawn)[:, 1].tolist()} == {1, 2, 6}
    assert all(len({*ids.tolist()}) == 3 and ids[0] == 0 for ids in drawn)
    unpaired = np.concatenate([draw_unpaired(pool, [0], 3, generator)[1:] for _ in range(400)])
    assert {3, 4, 5} <= {*unpaired.tolist()}
    assert 7 not in unpaired


def exact_marginals(
    log_weights: NDArray[np.float64], pairs: NDArray[np.float64], size: int, given: list[int]
) -> NDArray[np.float64]:
    """How often each latent is in a set, by going through all sets."""
    total, found = 0.0, np.zeros(len(log_weights))
    for chosen in combinations(range(len(log_weights)), size):
        if not set(given) <= set(chosen):
            continue
        at = np.array(chosen)
        energy = log_weights[at].sum() + np.triu(pairs[np.ix_(at, at)], 1).sum()
        total += np.exp(energy)
        found[at] += np.exp(energy)
    return found / total


@pytest.mark.parametrize("given", [[], [2]])
def test_gibbs_samples_have_the_marginals_of_the_pairwise_model(given: list[int]) -> None:
    generator = np.random.default_rng(1)
    pairs = generator.normal(size=(7, 7))
    pairs, weights = (pairs + pairs.T) / 2, generator.normal(size=7)
    others = [one for one in range(7) if one not in given]
    start = np.array([*given, *others][:3])
    drawn = [
        gibbs(weights, lambda one: pairs[one], start, len(given), generator) for _ in range(3000)
    ]
    found = np.bincount(np.concatenate(drawn), minlength=7) / len(drawn)
    # Four standard errors.
    np.testing.assert_allclose(found, exact_marginals(weights, pairs, 3, given), atol=0.037)


def test_gibbs_keeps_the_planted_groups_together() -> None:
    pool, generator = planted(), np.random.default_rng(2)
    drawn = [draw_by_gibbs(pool, [5], 3, generator) for _ in range(200)]
    together = np.mean([{*ids.tolist()} == {3, 4, 5} for ids in drawn])
    exact = exact_marginals(
        np.log(np.maximum(pool.counts, 1e-300)),
        np.array([pool.log_lift(one) for one in range(8)]), 3, [5],
    )  # fmt: skip
    assert together > 0.6
    np.testing.assert_allclose(
        np.bincount(np.concatenate(drawn), minlength=8) / 200, exact, atol=0.14
    )
