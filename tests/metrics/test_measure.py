from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tests.conftest import tiny_model, write_sae
from torch import Tensor

from steppe.core.errors import InputError
from steppe.core.sites import Site
from steppe.metrics import (
    CATALOGUE,
    Metric,
    find_metrics,
    latents_l1,
    measure,
    measure_path,
    measure_paths,
    needs_logits,
)
from steppe.metrics.measure import paths_at_once
from steppe.models import Model, load_model
from steppe.propagation import (
    Suffix,
    build_prefix,
    plan,
    propagate,
    read_residuals,
    set_memory_budget,
)
from steppe.sae import load_sae

TOKENS = torch.arange(3 * 10).reshape(3, 10)
SITE = Site.parse("blocks.1.hook_resid_pre")
LAST = Site.parse("blocks.last.hook_resid_post")
ALL = ["l2", "cosine", "kl", "js"]


def straight(model: Model, site: Site = SITE, n_steps: int = 9) -> torch.Tensor:
    base = read_residuals(model, TOKENS, site)
    target = base.roll(1, dims=0)
    fractions = torch.linspace(0, 1, n_steps).reshape(1, -1, *[1] * (base.ndim - 1))
    return base.unsqueeze(1) + fractions * (target - base).unsqueeze(1)


def test_curves_are_labelled(model: Model) -> None:
    curves = measure(model, TOKENS, SITE.name, straight(model), ALL)
    assert dict(curves.sizes) == {"sample": 3, "step": 9}
    assert list(curves.data_vars) == ALL
    assert all(curve.dtype == np.float32 for curve in curves.values())
    assert {name: curves[name].attrs["unit"] for name in ALL} == {
        "l2": "activation units",
        "cosine": "1",
        "kl": "nats",
        "js": "bits",
    }
    assert curves.attrs["residual_coordinates"] == "centered"
    assert curves.attrs["site"] == SITE.name


def test_step_0_is_exact(model: Model) -> None:
    curves = measure(model, TOKENS, SITE, straight(model), ALL)
    for name, value in {"l2": 0.0, "cosine": 1.0, "kl": 0.0, "js": 0.0}.items():
        assert (curves[name].values[:, 0] == value).all()
        assert (curves[name].values[:, 1:] != value).all()


def test_curves_equal_the_formulas_on_full_outputs(model: Model) -> None:
    points = straight(model)
    curves = measure(model, TOKENS, SITE, points, ALL)
    outputs = propagate(model, TOKENS, SITE, points, logits=True)
    assert outputs.logits is not None
    residual = outputs.residuals[LAST.name].double().numpy()
    logits = outputs.logits.double()
    l2 = np.linalg.norm(residual - residual[:, :1], axis=-1)
    np.testing.assert_allclose(curves["l2"], l2, rtol=1e-5)
    log_p = logits.log_softmax(-1).numpy()
    kl = (np.exp(log_p[:, :1]) * (log_p[:, :1] - log_p)).sum(-1)
    np.testing.assert_allclose(curves["kl"], kl, rtol=1e-4, atol=1e-9)


def test_other_metrics_and_prompts_change_no_number(model: Model) -> None:
    points = straight(model)
    together = measure(model, TOKENS, SITE, points, ALL)
    alone = measure(model, TOKENS[2:], SITE, points[2:], ["l2"])
    assert (alone["l2"].values[0] == together["l2"].values[2]).all()


def test_all_positions_have_their_own_axis(model: Model) -> None:
    site = Site.parse(SITE.name, "all")
    curves = measure(model, TOKENS, site, straight(model, site, 4), ["l2", "kl"])
    assert curves["kl"].dims == ("sample", "step", "position")
    assert dict(curves.sizes) == {"sample": 3, "step": 4, "position": 10}


def test_a_path_is_reduced_to_numpy(model: Model) -> None:
    prefix = build_prefix(model, TOKENS[0], SITE)
    with Suffix(model, SITE, read=[LAST], logits=True) as suffix:
        found = measure_path(suffix, prefix, straight(model)[0], ["l2", "kl"], LAST)
    assert {name: curve.dtype for name, curve in found.items()} == {"l2": "f4", "kl": "f4"}
    assert found["l2"].shape == (9,)


def test_a_suffix_that_lacks_what_a_metric_needs_is_refused(model: Model) -> None:
    prefix = build_prefix(model, TOKENS[0], SITE)
    points = straight(model)[0]
    with Suffix(model, SITE, read=[LAST]) as suffix:
        with pytest.raises(InputError) as caught:
            measure_path(suffix, prefix, points, ["kl"], LAST)
        with pytest.raises(InputError, match=r"no blocks\.1\.hook_resid_post"):
            measure_path(suffix, prefix, points, ["l2"], Site.parse("resid_post:1"))
    assert str(caught.value) == (
        "metric 'kl'\n"
        "  got:      a suffix that returns no logits\n"
        "  expected: a suffix that returns what the metric looks at (logits)\n"
        "  fix:      open the suffix with read=[site], logits=True"
    )


def test_the_catalogue_answers_by_name() -> None:
    assert [metric.name for metric in find_metrics(["kl", "l2"])] == ["kl", "l2"]
    assert all(name == metric.name for name, metric in CATALOGUE.items())
    assert needs_logits(["l2", "js"])
    assert not needs_logits(["l2", "cosine"])


@pytest.mark.parametrize(
    ("names", "got"),
    [(["l2", "hellingr"], "'hellingr'"), ([], "none"), (["kl@resid_post:1"], "reads logits")],
)
def test_unknown_metrics_are_refused(names: list[str], got: str) -> None:
    with pytest.raises(InputError, match=got):
        find_metrics(names)


def test_a_metric_is_read_at_the_site_it_names(model: Model) -> None:
    points = straight(model)
    first = "blocks.1.hook_resid_post"
    alone = {at: measure(model, TOKENS, SITE, points, ["l2"], read=at) for at in (first, LAST)}
    named = measure(model, TOKENS, SITE, points, ["l2", f"l2@{first}"])
    several = measure(model, TOKENS, SITE, points, ["l2", "kl"], read=[first, LAST])
    np.testing.assert_array_equal(named["l2"], alone[LAST]["l2"])
    np.testing.assert_array_equal(named[f"l2@{first}"], alone[first]["l2"])
    assert list(several) == [f"l2@{first}", f"l2@{LAST.name}", "kl"]
    np.testing.assert_array_equal(several[f"l2@{first}"], alone[first]["l2"])


def test_a_metric_of_ones_own_is_measured_and_its_shape_checked(model: Model) -> None:
    points = straight(model)

    def norm(outputs: Tensor) -> Tensor:
        return outputs.norm(dim=-1)

    own = Metric("norm", "1", "norm", "residual", norm)
    curves = measure(model, TOKENS, SITE, points, [own])
    assert curves["norm"].dims == ("sample", "step")
    wrong = Metric("mean", "1", "mean", "residual", lambda outputs: outputs.mean())
    with pytest.raises(InputError, match="'mean'"):
        measure(model, TOKENS, SITE, points, [wrong])


def test_paths_side_by_side_give_the_numbers_of_each_alone(model: Model) -> None:
    prefix = build_prefix(model, TOKENS[0], SITE)
    one = straight(model, n_steps=20)[0]
    directions = torch.linspace(0.0, 6.0, 7 * model.d_model).cos().view(7, 1, -1)
    paths = one + torch.arange(20)[:, None] * directions
    with Suffix(model, SITE, read=[LAST], logits=True) as suffix:
        assert paths_at_once(suffix, prefix, 20) == 25
        assert paths_at_once(suffix, prefix, 1000) == 1
        together = measure_paths(suffix, prefix, paths, ALL, LAST)
        alone = [measure_path(suffix, prefix, path, ALL, LAST) for path in paths]
    for name, curves in together.items():
        assert curves.shape == (7, 20)
        expected = np.stack([curve[name] for curve in alone])
        np.testing.assert_allclose(curves, expected, rtol=1e-4, atol=1e-6)
        assert (curves[:, 0] == (1.0 if name == "cosine" else 0.0)).all()


@pytest.mark.parametrize("position", [-1, "all"])
def test_a_path_cut_for_want_of_memory_gives_the_same_numbers(model: Model, position: Any) -> None:
    site = Site.parse(SITE.name, position)
    prefix = build_prefix(model, TOKENS[0], site)
    points = straight(model, site, n_steps=20)
    with Suffix(model, site, read=[LAST], logits=True) as suffix:
        whole = measure_paths(suffix, prefix, points, ALL, LAST)
        set_memory_budget(2**14)
        try:
            assert not suffix.fits(prefix, 20)
            cut = measure_paths(suffix, prefix, points, ALL, LAST)
        finally:
            set_memory_budget(None)
    for name in ALL:
        assert cut[name].shape == points.shape[:-1]
        np.testing.assert_allclose(cut[name], whole[name], rtol=1e-4, atol=1e-6)


def test_text_is_taken_wherever_a_site_is(model: Model) -> None:
    points = straight(model)
    assert torch.equal(
        read_residuals(model, TOKENS, SITE.name), read_residuals(model, TOKENS, SITE)
    )
    prefix = build_prefix(model, TOKENS[0], SITE.name)
    with Suffix(model, SITE.name, read=[LAST.name]) as suffix:
        as_text = measure_path(suffix, prefix, points[0], ["l2"], LAST.name)
    with Suffix(model, SITE, read=[LAST]) as suffix:
        as_site = measure_path(
            suffix, build_prefix(model, TOKENS[0], SITE), points[0], ["l2"], LAST
        )
    np.testing.assert_array_equal(as_text["l2"], as_site["l2"])


@pytest.mark.parametrize("position", [-1, "all"])
def test_prompts_that_run_together_give_the_same_numbers(
    model: Model, monkeypatch: pytest.MonkeyPatch, position: Any
) -> None:
    site = Site(1, "resid_pre", position)
    points = straight(model, site)
    metrics = ALL if position == "all" else [*ALL, "linear_prediction"]
    alone = measure(model, TOKENS, site, points, metrics)
    monkeypatch.setitem(plan._POSITIONS, "cpu", 2 * TOKENS.shape[1])
    together = measure(model, TOKENS, site, points, metrics)
    assert together.sizes == alone.sizes
    for name in alone.data_vars:
        np.testing.assert_allclose(together[name], alone[name], rtol=1e-4, atol=2e-6)


def test_relative_distance_is_of_whole_paths_however_they_are_cut(model: Model) -> None:
    points = straight(model)
    whole = measure(model, TOKENS, SITE, points, ["relative_distance", "l2"])
    residuals = propagate(model, TOKENS, SITE, points).residuals[LAST.name]
    to_start = (residuals - residuals[:, :1]).norm(dim=-1)
    to_end = (residuals - residuals[:, -1:]).norm(dim=-1)
    expected = to_start / (to_start + to_end)
    np.testing.assert_allclose(whole["relative_distance"], expected, rtol=1e-4, atol=1e-6)
    assert (whole["relative_distance"][:, 0] == 0).all()
    assert (whole["relative_distance"][:, -1] == 1).all()
    set_memory_budget(1)
    try:
        cut = measure(model, TOKENS, SITE, points, ["relative_distance"])
    finally:
        set_memory_budget(None)
    np.testing.assert_allclose(
        cut["relative_distance"], whole["relative_distance"], rtol=1e-4, atol=1e-6
    )


def test_two_metrics_of_one_name_are_refused_and_one_given_twice_is_one() -> None:
    mine = Metric("mine", "1", "mine", "residual", lambda rows: rows[..., 0])
    assert find_metrics([mine, "l2", mine]) == [mine, CATALOGUE["l2"]]
    with pytest.raises(InputError, match="two metrics of this name"):
        find_metrics([mine, replace(mine, measure=lambda rows: rows[..., 1])])


def test_latents_are_not_measured_in_coordinates_that_are_not_the_saes(tmp_path: Path) -> None:
    write_sae(tmp_path / "sae")
    sae = load_sae(tmp_path / "sae")
    metric = latents_l1(replace(sae, config=replace(sae.config, coordinates="raw")))
    for coordinates in ("raw", "centered"):
        model = load_model(tiny_model(), coordinates=coordinates)
        points = straight(model)
        if coordinates == "raw":
            assert (measure(model, TOKENS, SITE, points, [metric])["latents_l1"][:, -1] > 0).all()
            continue
        with pytest.raises(InputError, match="an SAE of raw residuals"):
            measure(model, TOKENS, SITE, points, [metric])
