"""Contours of pairs of directions: known exponents, and rays that find what the grid finds."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from pydantic import ValidationError
from transformers import GPT2Config, GPT2LMHeadModel

import steppe
from steppe.core.axes import FACTOR, FAMILY
from steppe.core.errors import InputError
from steppe.core.sites import Site
from steppe.propagation import Suffix, build_prefix
from steppe.statistics import superellipse_exponent
from steppe.store import Run
from steppe.studies.ferreira2026.analysis import fits, threshold_of
from steppe.studies.ferreira2026.measuring import points_at, sides
from steppe.studies.ferreira2026.study import STUDY
from steppe.study import Analysis

WIDTH = 16
ANGLES = np.linspace(0, 60, 16)
GRID = np.stack(np.meshgrid(ANGLES, ANGLES, indexing="ij"), axis=-1)


def features() -> torch.Tensor:
    """Three mean-free directions at right angles, float64 ``(3, d_model)``."""
    rows = torch.zeros(3, WIDTH, dtype=torch.float64)
    for number in range(3):
        rows[number, 4 * number : 4 * number + 2] = 1
        rows[number, 4 * number + 2 : 4 * number + 4] = -1
    return rows / 2


def model_with(strength: float) -> GPT2LMHeadModel:
    """A model whose second block writes when one of two features lies above a threshold."""
    config = GPT2Config(vocab_size=8, n_positions=8, n_embd=WIDTH, n_layer=2, n_head=1, n_inner=2,
                        activation_function="relu", bos_token_id=0, eos_token_id=0)  # fmt: skip
    model = GPT2LMHeadModel(config).eval()
    with torch.no_grad():
        for block in model.transformer.h:
            for part in (block.attn.c_proj, block.mlp.c_fc, block.mlp.c_proj):
                part.weight.zero_()
                part.bias.zero_()
        base, *others = features().float()
        model.transformer.wte.weight.copy_(3 * base.expand(8, -1))
        model.transformer.wpe.weight.zero_()
        mlp = model.transformer.h[1].mlp
        mlp.c_fc.weight.copy_(torch.stack(others, dim=1))
        # The norm makes the stream 4 long: a feature is met above some 22 degrees.
        mlp.c_fc.bias.fill_(-1.5)
        mlp.c_proj.weight.copy_(strength * torch.eye(2, WIDTH))
    return model


def exponent(strength: float) -> float:
    model = steppe.load_model(model_with(strength), device="cpu")
    site, read = Site.parse("blocks.0.hook_resid_post"), Site.parse("blocks.1.hook_resid_post")
    prefix = build_prefix(model, torch.tensor([1, 2, 3]), site)
    base = prefix.base.float()
    (plane,) = sides(base, features()[None, 1:], mean_free=True)
    with Suffix(model, site, read=[read], logits=False) as suffix:
        found = suffix(prefix, points_at(base, plane, GRID.reshape(-1, 2))).residuals[read.name]
    l2 = (found - found[0]).norm(dim=1).double().reshape(len(ANGLES), -1).numpy()
    return superellipse_exponent(l2[None], ANGLES, threshold_of(l2)).p


def test_a_linear_model_has_ellipses() -> None:
    assert exponent(0.0) == pytest.approx(2, abs=0.02)


def test_planted_threshold_features_are_privileged() -> None:
    assert exponent(30.0) > 2.3


def test_points_are_turned_at_the_bases_norm() -> None:
    base, pairs = torch.randn(WIDTH), torch.randn(3, 2, WIDTH, dtype=torch.float64)
    planes = sides(base, pairs, mean_free=False)
    across = planes @ torch.cat([planes[0], base[None].double()]).T / base.norm().double() ** 2
    torch.testing.assert_close(across[0, :, :2], torch.eye(2, dtype=torch.float64))
    torch.testing.assert_close(
        across[0, :, 2], torch.zeros(2, dtype=torch.float64), atol=1e-6, rtol=0
    )
    points = points_at(base, planes[0], np.array([[0.0, 0], [30, 40], [0, 90]]))
    torch.testing.assert_close(points.norm(dim=1), base.norm().expand(3))
    turned = torch.rad2deg(torch.arccos(points @ base / base.norm() ** 2))
    torch.testing.assert_close(turned[1:], torch.tensor([50.0, 90]), atol=1e-3, rtol=0)
    torch.testing.assert_close(points[2], planes[0, 1].float(), atol=1e-5, rtol=1e-5)


def reproduced(tiny_files: Any, folder: Path, **asked: Any) -> Run:
    pairs = folder / "pairs.jsonl"
    pairs.write_text(
        "".join(
            json.dumps({"name": f"set{n}", "positive": [n, n + 1, 7], "negative": [n + 2, n, 9]})
            + "\n"
            for n in range(8)
            for _ in range(2)
        )
    )
    small: dict[str, Any] = {
        "sae": tiny_files.sae, "samples": 5, "contrastive": [str(pairs)], "melbo_steps": 2,
        "moments_samples": 100, "bootstrap": 100, "device": "cpu", "pairs": 2,
        "out": folder / asked.get("reading", "code"),
    }  # fmt: skip
    whole = small | asked
    return steppe.run(STUDY, model=tiny_files.model, prompts=tiny_files.prompts, **whole)


@pytest.fixture(scope="module")
def both(tiny_files: Any, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Run]:
    folder = tmp_path_factory.mktemp("ferreira")
    return {one: reproduced(tiny_files, folder, reading=one) for one in ("code", "searched")}


def test_rays_find_the_grids_exponents_with_a_fifth_of_the_points(both: dict[str, Run]) -> None:
    found = {
        name: fits(Analysis.of(run, STUDY.settings, STUDY.derived)).sel({FACTOR: 1.0, "fit": "p"})
        for name, run in both.items()
    }
    mean = [one.mean("pair") for one in found.values()]
    assert list(mean[0][FAMILY].values) == list(mean[1][FAMILY].values)
    assert float(np.abs(mean[0] - mean[1]).median()) < 0.02
    assert both["searched"].dataset("searched").attrs["points_of_a_pair"] < 31 * 31 * 5 / 5


def test_every_output_is_written(both: dict[str, Run]) -> None:
    figures = {
        name: {p.stem for p in (run.path / "figures").glob("*.png")} for name, run in both.items()
    }
    assert figures["searched"] == {"exponents", "misalignment", "residuals"}
    assert figures["code"] == figures["searched"] | {
        "combination_sweep",
        "fitted_boundary",
        "thresholds",
    }
    assert list(both["code"].claims["id"]) == ["FE1", "FE2", "FE3", "FE4", "FE5", "FE7"]
    table = both["code"].tables["exponents"].set_index([FAMILY, "threshold_times"])
    assert table.loc[("contrastive", 1.0), "published_p"] == 2.42


def test_too_few_contrastive_directions_are_refused(tiny_files: Any, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="8 directions"):
        reproduced(tiny_files, tmp_path, pairs=5)


@pytest.mark.parametrize("reading", ["code", "searched"])
def test_a_family_of_directions_that_were_asked_for(
    tiny_files: Any, tmp_path: Path, reading: str, no_report: None
) -> None:
    np.savez(tmp_path / "own.npz", a=np.arange(16.0) % 5, b=np.arange(16.0) % 3)
    own = f"file:{tmp_path / 'own.npz'}"
    run = reproduced(
        tiny_files, tmp_path, reading=reading, samples=2, melbo_steps=1, n_points=7, sae=None,
        directions=[f"{own}#a", f"{own}#b_against"],
    )  # fmt: skip
    dataset = run.dataset("grids" if reading == "code" else "searched").load()
    asked = dataset.sel({FAMILY: "asked_for"})
    # One pair was asked for, and the other families have two.
    name = "l2" if reading == "code" else "intercepts"
    assert np.isnan(asked[name].isel(pair=1)).all()
    assert "sae_top" not in dataset[FAMILY].values
    fit = fits(Analysis.of(run, STUDY.settings, STUDY.derived)).sel({FAMILY: "asked_for"})
    assert np.isnan(fit.isel(pair=1).sel(fit="p")).all()
    if reading == "searched":
        return
    # Along the second one alone the points turn against b: a plain forward pass at one of them.
    model = steppe.load_model(tiny_files.model, device="cpu")
    tokens, site = dataset["tokens"].values, "blocks.0.hook_resid_post"
    base = steppe.read_residuals(model, tokens, site)
    vectors = [
        torch.from_numpy(v - v.mean()) for v in (np.arange(16.0) % 5, -(np.arange(16.0) % 3))
    ]
    pair = torch.stack([v / v.norm() for v in vectors])
    for row in range(2):
        (plane,) = sides(base[row], pair[None], mean_free=True)
        point = points_at(base[row], plane, np.array([[20.0, 0.0], [0.0, 40.0]]))
        path = torch.cat([base[row][None], point])[None]
        l2 = steppe.measure(model, tokens[row : row + 1], site, path, ["l2"])["l2"].values[0]
        grid = asked["l2"].isel(pair=0, sample=row)
        assert float(grid.sel(row=20.0, column=0.0)) == pytest.approx(l2[1], rel=1e-3)
        assert float(grid.sel(row=0.0, column=40.0)) == pytest.approx(l2[2], rel=1e-3)


@pytest.mark.parametrize("directions", [["random:1"], ["random:1-6"], ["isotropic", "random"]])
def test_what_makes_no_pairs_is_refused(directions: list[str]) -> None:
    with pytest.raises(ValidationError, match="two for each of 2 pairs"):
        STUDY.settings(study="ferreira2026", pairs=2, directions=directions)
