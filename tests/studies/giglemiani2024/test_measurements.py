"""What is measured depends on a sample's own draws alone, and starts at exactly zero."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

import steppe
from steppe.activations import KINDS as REGISTRY
from steppe.activations import TargetRequest
from steppe.core.errors import InputError
from steppe.propagation import plan
from steppe.reports.style import KINDS as STYLES
from steppe.store import Run
from steppe.studies.giglemiani2024 import measuring
from steppe.studies.giglemiani2024.outputs import BASE_KINDS, CONTEXTS, KINDS, MODES
from steppe.studies.giglemiani2024.settings import Settings
from steppe.studies.giglemiani2024.study import STUDY, draw_examples
from steppe.study import Analysis, Context
from steppe.study.running import open_context

Arrays = Mapping[str, NDArray[Any]]
Make = Callable[..., Context[Settings]]


def measured(context: Context[Settings], samples: range, dataset: str = "curves") -> Arrays:
    (part,) = [p for p in STUDY.plan(context.settings).parts if p.name == dataset]
    return part.measure(context, samples)


@pytest.fixture(scope="module")
def make_context(tiny_files: Any) -> Make:
    def make(**changes: Any) -> Context[Settings]:
        defaults = {
            "model": str(tiny_files.model),
            "sae": str(tiny_files.sae),
            "prompts": str(tiny_files.prompts),
            "samples": 12,
            "device": "cpu",
        }
        return open_context(STUDY, Settings(**{**defaults, **changes}))

    return make


@pytest.fixture(scope="module")
def context(make_context: Make) -> Context[Settings]:
    return make_context()


@pytest.fixture(scope="module")
def shard(context: Context[Settings]) -> Arrays:
    return measured(context, range(0, 6))


def test_every_curve_starts_at_exactly_zero(shard: Arrays) -> None:
    assert not shard["l2"][..., 0].any()
    assert not shard["kl"][..., 0].any()
    np.testing.assert_allclose(shard["cosine"][..., 0], 1.0, atol=1e-6)
    assert np.isfinite(shard["l2"]).all()
    assert (shard["l2"][..., -1] > 0).all()


def test_a_sample_is_the_same_in_another_shard(context: Context[Settings], shard: Arrays) -> None:
    alone = measured(context, range(4, 5))
    for name in ("l2", "kl", "cosine"):
        np.testing.assert_array_equal(alone[name][:, :, 0], shard[name][:, :, 4])
    np.testing.assert_array_equal(alone["target_distance"][:, 0], shard["target_distance"][:, 4])
    np.testing.assert_array_equal(alone["tokens"][0], shard["tokens"][4])


def test_prompts_that_run_together_give_the_same_shard(
    context: Context[Settings], shard: Arrays, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(plan._POSITIONS, "cpu", 4 * shard["tokens"].shape[1])
    together = measured(context, range(0, 6))
    for name, values in shard.items():
        np.testing.assert_allclose(together[name], values, rtol=1e-3, atol=1e-4, err_msg=name)


def test_leaving_kinds_and_modes_out_changes_no_other_number(
    make_context: Make, shard: Arrays
) -> None:
    fewer = make_context(only=("table_1",))
    (part,) = STUDY.plan(fewer.settings).parts
    assert part.spec(fewer).fixed["mode"].values.tolist() == ["absolute"]
    some = part.measure(fewer, range(0, 6))
    for index, kind in enumerate(part.spec(fewer).fixed["kind"].values):
        np.testing.assert_array_equal(some["l2"][index, 0], shard["l2"][KINDS.index(kind), 0])


def test_more_samples_change_no_other_number(make_context: Make, shard: Arrays) -> None:
    more = measured(make_context(samples=30), range(0, 6))
    for name in ("l2", "kl", "base_norm", "target_distance", "tokens"):
        np.testing.assert_array_equal(more[name], shard[name])


def test_another_seed_draws_other_samples(make_context: Make, shard: Arrays) -> None:
    other = measured(make_context(seed=1), range(0, 6))
    assert (other["tokens"] != shard["tokens"]).any()


def test_relative_paths_end_where_the_output_of_the_target_is(shard: Arrays) -> None:
    real = KINDS.index("real")
    at_target = shard["l2"][real, MODES.index("relative"), :, -1]
    assert (at_target > 0).all()
    # The absolute path passes the target near its step; L2 there is close to the relative end.
    steps = shard["target_step"][real]
    absolute = shard["l2"][real, MODES.index("absolute")]
    inside = steps < absolute.shape[1] - 1
    assert inside.any()
    near = absolute[np.arange(len(steps)), np.minimum(steps, absolute.shape[1] - 1)]
    np.testing.assert_allclose(near[inside], at_target[inside], rtol=0.2)


def test_plateau_contexts_differ_for_real_bases_only(context: Context[Settings]) -> None:
    found = measured(context, range(0, 4), "plateaus")
    native, foreign = (found["l2"][CONTEXTS.index(context)] for context in ("native", "foreign"))
    for index, kind in enumerate(BASE_KINDS):
        assert np.array_equal(native[index], foreign[index]) == (kind != "real")
    assert not found["l2"][..., 0].any()
    assert np.isfinite(found["l2"]).all()


def test_leaving_bases_out_changes_no_other_plateau(
    context: Context[Settings], make_context: Make
) -> None:
    every = measured(context, range(0, 2), "plateaus")
    some = measured(make_context(kinds=("real", "random")), range(0, 2), "plateaus")
    for index, kind in enumerate(("real", "random")):
        np.testing.assert_array_equal(some["l2"][:, index], every["l2"][:, BASE_KINDS.index(kind)])


def test_the_seed_does_not_move_the_scales(make_context: Make) -> None:
    scales = [make_context(seed=seed, moments_samples=200).constants["scales"] for seed in (0, 7)]
    assert scales[0] == scales[1]


def test_latent_properties(context: Context[Settings]) -> None:
    found = measuring.measure_latents(context)
    assert found["l0"].shape == (400,)
    shares = found["share"].values
    assert (np.diff(shares, axis=1)[np.isfinite(shares[:, 1:])] <= 0).all()
    assert int(found["pair_count"].sum()) == int((found["l0"] * (found["l0"] - 1) // 2).sum())


def test_the_text_reading_has_101_points(make_context: Make) -> None:
    found = measured(make_context(reading="text"), range(0, 2))
    assert found["l2"].shape == (len(KINDS), len(MODES), 2, 101)


def run_study(tiny_files: Any, out: Path, **settings: Any) -> Run:
    defaults = {
        "model": tiny_files.model,
        "sae": tiny_files.sae,
        "prompts": tiny_files.prompts,
        "samples": 6,
        "moments_samples": 100,
        "bootstrap": 100,
        "latent_samples": 50,
        "device": "cpu",
    }
    return steppe.run("giglemiani2024", out=out, **{**defaults, **settings})


def test_table_1_alone_computes_no_logits(tiny_files: Any, tmp_path: Path) -> None:
    model = steppe.load_model(tiny_files.model, device="cpu")
    unembedded: list[int] = []
    model.hf_model.get_output_embeddings().register_forward_hook(lambda *_: unembedded.append(1))
    run_study(tiny_files, tmp_path / "table_c1", model=model, only=("table_c1",))
    assert unembedded
    # The self-check, which compares logits, is not made a second time.
    unembedded.clear()
    done = run_study(tiny_files, tmp_path / "table_1", model=model, only=("table_1",))
    assert not unembedded
    assert {*done.tables} == {"table_1", "claims"}
    assert [*done.claims["id"]] == ["G1", "G3", "G6", "G7"]


def test_without_an_sae_real_random_and_isotropic_kinds_are_measured(
    tiny_files: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    done = run_study(tiny_files, tmp_path / "without", sae=None)
    told = capsys.readouterr().err
    assert [*done.curves["kind"].values] == ["real", "random", "isotropic"]
    assert [*done.plateaus["kind"].values] == ["real", "random"]
    assert "latents" not in done.datasets()
    assert done.curves["target_cosine"].isnull().all()
    summary = (done.path / "summary.md").read_text()
    for gone in ("curves (synthetic_random, synthetic_baseline", "plateaus (", "latents"):
        assert f"left out: {gone}" in summary
        assert f"left out: {gone}" in told
    assert {"G1", "G2", "G22"} <= {*done.claims["id"]}
    assert {"G7", "G19", "G23"}.isdisjoint(done.claims["id"])
    assert "cosine" not in done.config["resolved"]["scales"]["origin"]
    whole = run_study(tiny_files, tmp_path / "with").curves
    np.testing.assert_array_equal(
        whole["target_distance"].sel(kind=["real", "random", "isotropic"]),
        done.curves["target_distance"],
    )


def test_a_kind_of_ones_own_is_in_tables_and_figures_with_label_and_colour(
    tiny_files: Any, tmp_path: Path
) -> None:
    with pytest.raises(InputError, match="'halfway_there'"):
        run_study(tiny_files, tmp_path / "run", kinds=("real", "halfway_there"))

    def halfway_there(request: TargetRequest) -> torch.Tensor:
        """Halfway to the real target."""
        return (request.base + request.real) / 2

    steppe.register_kind(needs=("pool",), label="Half of the way", color="#123456")(halfway_there)
    try:
        kinds = ("real", "random", "halfway_there")
        done = run_study(
            tiny_files, tmp_path / "run", kinds=kinds, only=("table_1", "table_a1", "figure_1")
        )
        for name in ("table_1", "table_a1"):
            assert "halfway_there" in {*done.tables[name]["kind"]}
            assert "Half of the way" in (done.path / "tables" / f"{name}.md").read_text()
        assert "half of the way" in (done.path / "figures" / "figure_1.txt").read_text()
        drawn = draw_examples(Analysis.of(done, Settings, STUDY.derived)).figure
        assert "#123456" in {line.get_color() for line in drawn.axes[0].lines}
    finally:
        REGISTRY._entries.pop("halfway_there")
        STYLES.pop("halfway_there")
    # Where nobody registered it, the report of what was measured is still written.
    (done.path / "tables" / "table_1.csv").unlink()
    steppe.report(done.path)
    assert "halfway_there" in {*steppe.open_run(done.path).tables["table_1"]["kind"]}


def test_where_nothing_is_drawn_from_a_gaussian_few_prompts_are_enough(
    tiny_files: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("steppe.study.context.estimate_moments", lambda _: 1 / 0)
    few = tmp_path / "few.jsonl"
    few.write_text("".join(tiny_files.prompts.read_text().splitlines(keepends=True)[:8]))
    kinds = ("real", "sae_reconstruction")
    done = run_study(
        tiny_files, tmp_path / "run", prompts=few, kinds=kinds, only=("table_d1", "table_e")
    )
    assert [*done.curves["kind"].values] == [*kinds]
    assert not (done.path / "moments.safetensors").exists()
    assert "moments_from" not in done.config["resolved"]
    assert done.provenance[-1]["activations"] is None
    with pytest.raises(InputError, match="8 activations"):
        run_study(tiny_files, tmp_path / "other", prompts=few)


def test_adaptive_points_are_points_of_the_full_curves(make_context: Make, shard: Arrays) -> None:
    some = measured(make_context(points="adaptive"), range(0, 6))
    for name in ("l2", "kl", "cosine"):
        how = some[f"{name}_points"]
        span = np.ptp(shard[name], axis=-1, keepdims=True)
        off = np.abs(some[name] - shard[name]) / span
        assert off[how > 0].max() < 1e-5
        assert (how > 0).mean() < 0.7
        assert off.max() < 0.1


def test_adaptive_points_follow_every_step_that_is_read_off(make_context: Make) -> None:
    context = make_context(points="adaptive", only=("figure_3",))
    some = measured(context, range(0, 3), "plateaus")
    assert "kl" not in some
    levels = context.constants["scales"]["sweep"]
    for level in levels:
        reached = (some["l2"] >= level).argmax(axis=-1)
        at = np.take_along_axis(some["l2_points"], reached[..., None], axis=-1)
        assert at.all(), "a crossing is read off points that were computed"
