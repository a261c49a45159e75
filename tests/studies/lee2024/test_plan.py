"""A plan asks for what the parts need, and no more than the SAEs allow."""

from __future__ import annotations

from steppe.paths import DIRECTIONS
from steppe.studies.lee2024 import plan as p
from steppe.studies.lee2024.plan import SaeFacts, Series, depth_of, make_plan

HERE, THERE = "blocks.4.hook_resid_pre", "blocks.1.hook_resid_pre"
SAES = [
    SaeFacts("sparse", HERE, p.LOCAL, 8.0, 3),
    SaeFacts("middle", HERE, p.LOCAL, 30.0, 0),
    SaeFacts("dense", HERE, p.LOCAL, 64.0, 0),
    SaeFacts("trained", HERE, p.E2E, 32.0, 1),
    SaeFacts("early", THERE, p.LOCAL, 27.0, 0),
]


def test_without_saes_the_baselines_and_checks_are_left() -> None:
    plan = make_plan(HERE, [])
    assert not plan.substitutions
    assert {series.sae for series in plan.directions} == {""}
    assert {*p.BASELINE_KINDS, *p.FIRST_KINDS, p.TOWARDS_ZERO} <= {s.kind for s in plan.directions}


def test_every_series_is_there_once() -> None:
    plan = make_plan(HERE, SAES)
    for series in (plan.directions, plan.substitutions):
        assert len({one.name for one in series}) == len(series)
    sites = [one.site for one in (*plan.directions, *plan.substitutions)]
    assert tuple(dict.fromkeys(sites)) == (HERE, THERE)


def test_layers_are_compared_at_like_sparsity() -> None:
    assert [sae.label for sae in make_plan(HERE, SAES).per_layer] == ["early", "middle"]


def test_dead_features_need_dead_latents() -> None:
    for kind in ("sae_feature_dead", "sae_feature_dead_against"):
        dead = {s.sae for s in make_plan(HERE, SAES).directions if s.kind == kind}
        assert dead == {"sparse", "trained"}


def test_features_are_measured_along_and_against() -> None:
    along = {kind for kind in p.FEATURE_KINDS if not kind.endswith("_against")}
    assert len(along) == 4
    assert {*along, *(f"{kind}_against" for kind in along)} == set(p.FEATURE_KINDS)
    assert set(p.FEATURE_KINDS) <= set(DIRECTIONS)


def test_layers_are_in_the_order_of_the_model() -> None:
    names = ["blocks.10.hook_resid_pre", "blocks.2.hook_resid_post", "blocks.2.hook_resid_pre"]
    assert [depth_of(name) for name in names] == [10, 3, 2]


def test_a_part_brings_what_it_is_compared_with() -> None:
    only = make_plan(HERE, SAES, ["features"])
    assert {s.sae for s in only.directions} == {"", "sparse", "middle", "dense"}
    assert Series(p.MIXTURE, HERE) in only.directions
    assert not only.substitutions
    errors = make_plan(HERE, SAES, ["errors"])
    assert Series("epsilon_mixture", THERE, "early") in errors.substitutions
    assert not [s for s in errors.directions if s.kind.startswith("sae_feature")]
    for site in (HERE, THERE):
        assert {Series(k, site) for k in (p.MIXTURE, p.REAL_MIXTURE)} <= set(errors.directions)
