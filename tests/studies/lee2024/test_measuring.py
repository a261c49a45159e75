"""What is measured depends on a sample's own draws alone, and is exactly zero at length 0."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from steppe.core.sites import Site
from steppe.paths import make_directions
from steppe.propagation import propagate, read_residuals
from steppe.studies.lee2024 import plan as p
from steppe.studies.lee2024.measuring import (
    Opened,
    lengths_of,
    measure_directions,
    measure_substitutions,
)
from steppe.studies.lee2024.plan import Series
from steppe.studies.lee2024.saes import plan_of
from steppe.studies.lee2024.settings import Settings
from steppe.study import Context

Arrays = Mapping[str, NDArray[Any]]
HERE = "blocks.1.hook_resid_pre"
READOUTS = ("kl", "loss_increase", "kl_with_first", "loss_increase_with_first")


@pytest.fixture(scope="module")
def shard(context: Context[Settings]) -> Arrays:
    return measure_directions(context, range(0, 3))


def test_length_zero_is_exactly_zero(shard: Arrays) -> None:
    for name in READOUTS:
        assert not shard[name][..., 0].any()
    assert not shard["crossed"][..., 0].any()
    assert np.isfinite(shard["kl"]).all()
    assert (shard["kl"][..., -1] > 0).all()


def test_a_sample_is_the_same_in_another_shard(context: Context[Settings], shard: Arrays) -> None:
    alone = measure_directions(context, range(2, 3))
    for name in (*READOUTS, "kl_quantile"):
        np.testing.assert_array_equal(alone[name][:, 0], shard[name][:, 2])
    np.testing.assert_array_equal(alone["tokens"][0], shard["tokens"][2])


def test_fewer_parts_and_saes_change_no_other_number(
    make_context: Callable[..., Context[Settings]], context: Context[Settings], shard: Arrays
) -> None:
    fewer = make_context(only=["baselines"], samples=4)
    found = measure_directions(fewer, range(0, 3))
    for index, series in enumerate(fewer.once(plan_of).directions):
        place = context.once(plan_of).directions.index(series)
        np.testing.assert_array_equal(found["kl"][index], shard["kl"][place])


def measured_alone(
    context: Context[Settings], monkeypatch: pytest.MonkeyPatch, *kinds: str
) -> dict[str, NDArray[Any]]:
    """KL of the first sequence along some kinds of direction."""
    series = tuple(Series(kind, HERE) for kind in kinds)
    monkeypatch.setitem(context._made, plan_of, replace(context.once(plan_of), directions=series))
    return dict(zip(kinds, measure_directions(context, range(1))["kl"], strict=True))


@pytest.mark.parametrize("source", ["cov_random", "real"])
def test_blends_begin_at_the_difference_and_end_at_the_mixture(
    context: Context[Settings], source: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = ["difference", "blend_0", "blend_0.5", "blend_1", "mixture"]
    first, same, between, last, end = (f"{source}_{name}" for name in names)
    found = measured_alone(context, monkeypatch, first, same, between, last, end)
    np.testing.assert_array_equal(found[same], found[first])
    np.testing.assert_array_equal(found[last], found[end])
    for other in (first, end):
        assert (found[between] != found[other])[..., 1:].any()


def test_the_first_position_can_be_counted_in_the_covariance(
    context: Context[Settings], shard: Arrays
) -> None:
    for kind in (p.DIFFERENCE, p.MIXTURE):
        places = [
            context.once(plan_of).directions.index(Series(name, HERE))
            for name in (kind, kind + p.WITH_FIRST)
        ]
        without, counted = shard["kl"][places][..., 1:]
        assert (without != counted).all()
        np.testing.assert_allclose(counted, without, rtol=0.5)


def test_means_are_over_tokens_that_another_follows_without_the_first(
    context: Context[Settings],
) -> None:
    with context.suffix(read=[], logits=True) as suffix:
        opened = Opened.of(context, suffix, 0)
        units = make_directions("isotropic", opened.request())[0]
        lengths = torch.tensor(lengths_of(context)).float()
        curves = opened.curves(opened.base[0] + lengths[:, None, None] * units)
    shard = measure_directions(context, range(1))
    at = context.once(plan_of).directions.index(Series(p.ISOTROPIC, HERE)), 0
    for name, values in (("kl", curves.kl), ("loss_increase", curves.loss_increase)):
        np.testing.assert_allclose(shard[name][at], values[:, 1:-1].mean(axis=1), rtol=1e-5)
        with_first = shard[f"{name}_with_first"][at]
        np.testing.assert_allclose(with_first, values[:, :-1].mean(axis=1), rtol=1e-5)
    crossed = (curves.kl[:, 1:-1] > 0.5).mean(axis=1)
    np.testing.assert_allclose(shard["crossed"][at], crossed, rtol=1e-6)
    assert shard["tokens_used"][at] == curves.kl.shape[1] - 2
    norms = opened.base[0].norm(dim=-1)
    np.testing.assert_allclose(shard["base_norm"], norms[1:].mean(), rtol=1e-5)
    np.testing.assert_allclose(shard["first_norm"], norms[0], rtol=1e-5)
    np.testing.assert_allclose(shard["clean_loss"], opened.clean.loss[1:-1].mean(), rtol=1e-5)


def test_what_is_active_in_the_prompt_is_known_where_one_position_moves(
    make_context: Callable[..., Context[Settings]],
) -> None:
    context = make_context(positions="last")
    used = context.saes["dense"]
    with context.suffix(read=[], logits=True) as suffix:
        opened = Opened.of(context, suffix, 0)
    assert opened.prompt is not None
    torch.testing.assert_close(opened.prompt[:, -1], opened.base, rtol=1e-4, atol=1e-4)
    request = opened.request("dense")
    in_prompt = (used.sae.encode(opened.prompt[0, 1:]) > 0).any(dim=0)
    assert torch.equal(request.active_in_prompt[0], in_prompt)
    assert in_prompt.sum() > request.active.sum()
    shard = measure_directions(context, range(1))
    np.testing.assert_allclose(shard["first_norm"], opened.prompt[0, 0].norm(), rtol=1e-5)
    np.testing.assert_allclose(shard["base_norm"], opened.base.norm(), rtol=1e-5)


def test_the_error_at_its_own_length_is_the_substitution(
    make_context: Callable[..., Context[Settings]],
) -> None:
    """With one length, that of the last token's error, both move that token to one point."""
    context = make_context(positions="last")
    found = measure_substitutions(context, range(0, 1))
    place = context.once(plan_of).substitutions.index(Series("sae", HERE, "dense"))
    length = float(found["distance"][place, 0]) / context.constants["scale"]
    again = make_context(positions="last", lengths=[length])
    curves = measure_directions(again, range(0, 1))
    error = again.once(plan_of).directions.index(Series("sae_error", HERE, "dense"))
    np.testing.assert_allclose(curves["kl"][error, 0, 1], found["kl"][place, 0], rtol=1e-3)
    np.testing.assert_allclose(
        curves["loss_increase"][error, 0, 1], found["loss_increase"][place, 0], rtol=1e-3, atol=1e-6
    )


def test_the_first_activation_is_kept_or_replaced(
    make_context: Callable[..., Context[Settings]],
) -> None:
    kept = measure_substitutions(make_context(), range(0, 2))
    replaced = measure_substitutions(make_context(first_position="replaced"), range(0, 2))
    np.testing.assert_array_equal(kept["distance"], replaced["distance"])
    assert (kept["kl"] != replaced["kl"]).any()


def test_fewer_parts_change_no_substitution(
    make_context: Callable[..., Context[Settings]], context: Context[Settings]
) -> None:
    fewer = make_context(only=["errors"])
    assert len(fewer.once(plan_of).substitutions) < len(context.once(plan_of).substitutions)
    few, all_ = (measure_substitutions(one, range(0, 2)) for one in (fewer, context))
    for index, series in enumerate(fewer.once(plan_of).substitutions):
        place = context.once(plan_of).substitutions.index(series)
        for name in (*READOUTS, "distance"):
            np.testing.assert_array_equal(few[name][index], all_[name][place])


def test_sequences_get_their_first_token(context: Context[Settings]) -> None:
    assert (context.prompts.tokens[:, 0] == context.model.bos_token_id).all()
    assert context.prompts.tokens.shape[1] == 10


def test_saes_are_known_by_what_they_were_trained_for(context: Context[Settings]) -> None:
    families = {sae.label: sae.family for sae in context.once(plan_of).saes}
    assert families == {"dense": "local", "later": "local", "sparse": "local", "trained": "e2e"}
    l0 = {sae.label: sae.l0 for sae in context.once(plan_of).saes}
    assert l0["sparse"] < l0["dense"]
    assert {sae.dead for sae in context.once(plan_of).saes} == {4}


def test_directions_that_were_asked_for_are_measured_beside_the_study_s_own(
    make_context: Callable[..., Context[Settings]],
) -> None:
    context = make_context(only=["baselines"], directions=["pca:1", "pca:1_against"])
    series = context.once(plan_of).directions
    found = measure_directions(context, range(1))
    ids = torch.from_numpy(context.prompts.tokens[context.order[:1]])
    base = read_residuals(context.model, ids, Site(1, "resid_pre", "all"))
    length = float(lengths_of(context)[2])
    for kind, sign in (("pca:1", 1.0), ("pca:1_against", -1.0)):
        points = torch.cat([base, base + sign * length * context.fixed("pca:1")])
        logits = propagate(
            context.model, ids, Site(1, "resid_pre", "all"), points[None], logits=True
        ).logits
        assert logits is not None
        log_p = logits[0].double().log_softmax(-1)
        kl = (log_p[0].exp() * (log_p[0] - log_p[1])).sum(-1)
        # The first token and the last, which no token follows, are left out.
        index = series.index(Series(kind, HERE))
        np.testing.assert_allclose(found["kl"][index, 0, 2], kl[1:-1].mean(), rtol=1e-4)
