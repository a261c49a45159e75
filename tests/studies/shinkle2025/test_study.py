"""Plateaus by depth and part: against plain functions, and known answers of a linear model."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from pydantic import ValidationError
from torch import nn
from transformers import GPT2Config, GPT2LMHeadModel

import steppe
from steppe.core.axes import BLOCK, DIRECTION, KIND, MODE, MOVED, READ, SAMPLE, STEP
from steppe.core.errors import SteppeError
from steppe.metrics import relative_distance
from steppe.paths.catalogue import Ends, lay_path
from steppe.propagation import propagate
from steppe.settings.catalogue import find_study
from steppe.statistics import transition_width
from steppe.store import Run
from steppe.studies.shinkle2025 import measuring
from steppe.studies.shinkle2025.measuring import ATTENTION, LOGITS, MLP, NOTHING, partners
from steppe.studies.shinkle2025.study import STUDY
from steppe.study.running import open_context

SMALL: dict[str, Any] = {
    "samples": 4, "n_points": 6, "jacobian_samples": 1, "jacobian_points": 4, "bootstrap": 100,
    "device": "cpu",
}  # fmt: skip
SITE = "blocks.0.hook_resid_post"


@pytest.fixture(scope="module")
def done(tiny_files: Any, tmp_path_factory: pytest.TempPathFactory) -> Run:
    return steppe.run(
        "shinkle2025", model=tiny_files.model, prompts=tiny_files.prompts, **SMALL,
        out=tmp_path_factory.mktemp("shinkle") / "run",
    )  # fmt: skip


@pytest.fixture(scope="module")
def linear(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """The study on a GPT-2 whose blocks are linear: attention adds a constant, no norms."""
    torch.manual_seed(0)
    config = GPT2Config(
        n_layer=3, n_embd=24, n_head=2, vocab_size=89, n_positions=32,
        bos_token_id=0, eos_token_id=0, activation_function="linear",
    )  # fmt: skip
    hf_model = GPT2LMHeadModel(config).eval()
    with torch.no_grad():
        for block in hf_model.transformer.h:
            block.ln_2 = nn.Identity()
            block.attn.c_proj.weight.zero_()
            block.attn.c_proj.bias.normal_()
            block.mlp.c_fc.weight.mul_(10)
            block.mlp.c_proj.weight.mul_(10)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("steppe.execution.computing._report", lambda _study, _part: True)
        return steppe.run(
            "shinkle2025", model=steppe.load_model(hf_model, device="cpu", coordinates="raw"),
            prompts=np.random.default_rng(0).integers(1, 89, (20, 6)), prompt_length=6, **SMALL,
            probes=0, only=("depth", "jacobians"),
            out=tmp_path_factory.mktemp("linear") / "run",
        )  # fmt: skip


def test_a_linear_model_has_a_width_of_four_fifths_and_a_constant_jacobian(linear: Run) -> None:
    curves = linear.dataset("depth")["relative_distance"].sel({MODE: "linear"}).load()
    later = [f"blocks.{b}.hook_{part}" for b in (1, 2) for part in ("mlp_out", "resid_post")]
    widths = transition_width(curves.sel({MOVED: 0, READ: later}).values)
    np.testing.assert_allclose(widths, 0.8, atol=1e-3)
    jacobians = linear.dataset("jacobians").load()
    norms = jacobians["norm"].sel({KIND: "mlp"})
    np.testing.assert_allclose(norms, norms.isel({STEP: [0]}).values.repeat(4, -1), rtol=1e-4)
    assert float(norms.min()) > 0.1
    assert not jacobians["norm"].sel({KIND: "attention"}).any()
    assert not jacobians["norm_error"].any()


def test_curves_are_those_of_the_plain_functions(done: Run, tiny_files: Any) -> None:
    asked = find_study("shinkle2025").settings_class()(
        model=str(tiny_files.model), prompts=str(tiny_files.prompts), samples=4, device="cpu"
    )
    context = open_context(STUDY, asked)
    bases = context.bases(range(4))
    changed = partners(context, bases)
    depth = done.dataset("depth").load()
    tokens = depth["tokens"].values
    assert (changed[:, :-1] == tokens[:, :-1]).all()
    assert (changed[:, -1] != tokens[:, -1]).all()

    site, read = "blocks.1.hook_resid_post", "blocks.last.hook_mlp_out"
    ends = [steppe.read_residuals(context.model, one, site) for one in (tokens, changed)]
    points = steppe.paths.relative(*ends, n_points=6)
    plain = steppe.measure(context.model, tokens, site, points, ["relative_distance"], read=read)
    last = f"blocks.{context.model.n_layers - 1}.hook_mlp_out"
    ours = depth.sel({MOVED: 1, MODE: "linear"})
    found = ours["relative_distance"].sel({READ: last})
    np.testing.assert_allclose(found, plain["relative_distance"], atol=1e-4)
    outputs = propagate(context.model, tokens, site, points, read=[read]).residuals[read]
    steps = (outputs[:, 1:] - outputs[:, :-1]).norm(dim=-1)
    np.testing.assert_allclose(ours["step_size"].sel({READ: last})[:, 1:], steps, rtol=1e-2)
    # Nothing has moved before the site.
    assert np.isnan(ours["relative_distance"].sel({READ: SITE})).all()


def test_paths_end_at_the_paired_prompt(done: Run) -> None:
    errors = done.dataset("depth")["end_error"].values
    assert (errors < 1e-3).all()
    assert done.tables["ends"]["largest"].max() == pytest.approx(errors.max(), rel=1e-4)


def test_a_wrong_end_is_refused(
    tiny_files: Any, tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A path that stops short of the partner's activation.
    monkeypatch.setattr(measuring, "lay_path", lambda *given: lay_path(*given) * 0.8)
    with pytest.raises(SteppeError, match="paired prompt"):
        steppe.run(
            "shinkle2025", model=tiny_files.model, prompts=tiny_files.prompts, **SMALL,
            out=tmp_path / "run", only=("depth",),
        )  # fmt: skip


def test_freezing_parts_changes_the_output_and_none_is_the_plain_path(done: Run) -> None:
    frozen = done.dataset("frozen")["relative_distance"].load()
    depth = done.dataset("depth")["relative_distance"]
    plain = depth.sel({MOVED: 0, MODE: "slerp", READ: LOGITS}).values
    np.testing.assert_allclose(frozen.sel({KIND: NOTHING}), plain, atol=1e-5)
    for kind in (ATTENTION, MLP):
        assert np.abs(frozen.sel({KIND: kind}) - plain).max() > 1e-3


def test_jacobians_are_taken_of_every_later_block(done: Run) -> None:
    norms = done.dataset("jacobians").load()
    assert norms.sizes[SAMPLE] == 1
    assert (norms["norm_error"] > 0).all()
    assert list(norms[BLOCK].values) == list(range(1, norms.sizes[BLOCK] + 1))
    assert (norms["norm"].sel({KIND: "block"}) > norms["norm"].sel({KIND: "attention"})).all()


def test_every_output_is_written(done: Run) -> None:
    names = {path.stem for path in (done.path / "figures").glob("*.png")}
    assert names == {"depth", "frozen", "boundaries", "flips"}
    assert set(done.tables) >= {"frozen_widths", "untrained_widths", "jacobians", "ends", "claims"}
    assert list(done.tables["claims"]["id"]) == [f"SH{i}" for i in range(1, 6)]


def test_readings_freeze_to_the_paths_mean_or_to_the_base() -> None:
    added = torch.arange(6.0).reshape(3, 2)
    for reading, expected in (("code", [2.0, 3.0]), ("text", [0.0, 1.0])):
        context: Any = SimpleNamespace(settings=SimpleNamespace(reading=reading))
        assert measuring._fixed(context, added).tolist() == expected


def test_directions_are_followed_along_and_against_as_far_as_the_partner(
    tiny_files: Any, tmp_path: Any
) -> None:
    names = ["random:2", "random:2_against"]
    run = steppe.run(
        "shinkle2025", model=tiny_files.model, prompts=tiny_files.prompts, **SMALL,
        directions=names, only=("frozen",), out=tmp_path / "run",
    )  # fmt: skip
    found = run.dataset("directions").load()
    assert list(found[DIRECTION].values) == names
    assert set(run.table("direction_widths")["direction"]) == set(names)
    model = steppe.load_model(tiny_files.model, device="cpu")
    asked = find_study("shinkle2025").settings_class()(
        model=str(tiny_files.model), prompts=str(tiny_files.prompts), samples=4, device="cpu"
    )
    context = open_context(STUDY, asked)
    changed = partners(context, context.bases(range(4)))
    tokens = found["tokens"].values
    base, partner = (steppe.read_residuals(model, rows, SITE) for rows in (tokens, changed))
    far = (partner - base).norm(dim=1, keepdim=True)
    vector = steppe.directions.random(model, 2).vectors[1]
    for name, sign in zip(names, (1, -1), strict=True):
        ends = Ends(base, base + sign * far * vector)
        points = lay_path("slerp", ends, 6)
        logits = propagate(model, tokens, SITE, points, logits=True).logits
        assert logits is not None
        expected = [relative_distance(path) for path in logits]
        ours = found["relative_distance"].sel({DIRECTION: name, KIND: NOTHING})
        np.testing.assert_allclose(ours, torch.stack(expected), atol=1e-4)
        frozen = found["relative_distance"].sel({DIRECTION: name, KIND: MLP})
        assert float(abs(frozen - ours).max()) > 1e-3


def test_only_directions_without_any_is_refused() -> None:
    with pytest.raises(ValidationError, match="--directions contrastive"):
        find_study("shinkle2025").settings_class()(only=("directions",))
