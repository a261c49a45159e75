"""Fixed directions in a study: shared by all bases, kept by the run, told from others."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest
import torch
import yaml

import steppe
from steppe.cli.main import main
from steppe.core.errors import InputError
from steppe.study import BaseSettings, CurvePart, Study

WIDTH = 16


class Settings(BaseSettings):
    study: Literal["steered"] = "steered"
    site: str = "blocks.1.hook_resid_pre"
    along: tuple[str, ...] = ("random_difference",)


STUDY = Study(
    name="steered",
    question="What do fixed directions do?",
    settings=Settings,
    parts=lambda s: [
        CurvePart("paths", ["real", *steppe.directions.expand(s.along)], ["sphere"], n_points=4)
    ],
)


def run(tiny_files: Any, out: Path, along: list[str], **further: Any) -> Any:
    asked = dict(
        model=tiny_files.model, prompts=tiny_files.prompts, samples=4, moments_samples=100,
        device="cpu", out=out, along=along,
    )  # fmt: skip
    return steppe.run(STUDY, **(asked | further))


def test_a_run_keeps_its_directions_and_goes_on_with_them(
    tiny_files: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = ["pca:1-2", "melbo:steps=2:anchors=2", "random_difference_against"]
    done = run(tiny_files, tmp_path / "run", names)
    kinds = ["real", "pca:1", "pca:2", "melbo:steps=2:anchors=2", "random_difference_against"]
    assert list(done.dataset("paths")["kind"].values) == kinds
    summary = (done.path / "summary.md").read_text()
    assert "direction pca:2" in summary
    assert "share of variance" in summary
    measured = done.dataset("paths")["l2"].values.copy()
    # More samples are measured along the very vectors of the first ones.
    monkeypatch.setattr("steppe.study.context.make_needed", lambda *_: 1 / 0)
    more = run(tiny_files, tmp_path / "run", names, samples=6)
    np.testing.assert_array_equal(more.dataset("paths")["l2"].isel(sample=slice(4)), measured)


def test_all_bases_are_moved_along_the_same_vector(tiny_files: Any, tmp_path: Path) -> None:
    vector = torch.randn(WIDTH, generator=torch.Generator().manual_seed(0))
    steppe.directions.register("steer", vector)
    done = run(tiny_files, tmp_path / "run", ["given:steer", "given:steer_against"])
    dataset = done.dataset("paths")
    model = steppe.load_model(tiny_files.model, device="cpu")
    tokens = dataset["tokens"].values
    bases = steppe.read_residuals(model, tokens, "blocks.1.hook_resid_pre")
    for kind, sign in (("given:steer", 1), ("given:steer_against", -1)):
        displacement = (sign * (vector - vector.mean())).expand_as(bases)
        points = steppe.paths.sphere(bases, displacement, n_points=4)
        curves = steppe.measure(model, tokens, "blocks.1.hook_resid_pre", points, ["l2"])
        np.testing.assert_allclose(
            dataset["l2"].sel(kind=kind, mode="sphere"), curves["l2"], rtol=1e-4, atol=1e-4
        )


def test_another_vector_under_the_same_name_is_another_run(tiny_files: Any, tmp_path: Path) -> None:
    file = tmp_path / "steer.npy"
    np.save(file, np.arange(WIDTH) % 5)
    steppe.register_study(STUDY)
    run(tiny_files, tmp_path / "run", [f"file:{file}"])
    run(tiny_files, tmp_path / "run", [f"file:{file}"], samples=5)
    np.save(file, np.arange(WIDTH) % 3)
    with pytest.raises(InputError, match="directions_identity"):
        run(tiny_files, tmp_path / "run", [f"file:{file}"], samples=6)
    # What was measured is reported without its source.
    file.unlink()
    steppe.report(tmp_path / "run")


def test_a_source_that_does_not_exist_is_told_before_weights_are_read(tmp_path: Path) -> None:
    for name, match in (("file:nowhere.npy", "nowhere.npy"), ("contrastive:formalty", "formality")):
        with pytest.raises(InputError, match=match):
            steppe.run(
                STUDY, model=tmp_path / "no model", prompts="none.txt", along=[name],
                out=tmp_path / "run",
            )  # fmt: skip


def test_what_needs_an_sae_is_left_out_without_one(tiny_files: Any, tmp_path: Path) -> None:
    done = run(tiny_files, tmp_path / "run", ["sae_top:2"])
    assert list(done.dataset("paths")["kind"].values) == ["real"]
    with_sae = run(tiny_files, tmp_path / "with", ["sae_top:2"], sae=str(tiny_files.sae))
    assert "sae_top:2" in with_sae.dataset("paths")["kind"].values


def test_they_are_axes_of_a_sweep(tiny_files: Any, tmp_path: Path) -> None:
    swept = steppe.sweep(
        STUDY, {"along": [["pca:1"], ["pca:2"]]}, model=tiny_files.model,
        prompts=tiny_files.prompts, samples=2, moments_samples=100, device="cpu",
        out=tmp_path / "sweep",
    )  # fmt: skip
    assert not swept.failed
    kinds = [str(one.dataset("paths")["kind"].values[-1]) for one in swept.runs]
    assert kinds == ["pca:1", "pca:2"]


def test_from_yaml_and_the_command_line(tiny_files: Any, tmp_path: Path) -> None:
    steppe.register_study(STUDY)
    asked = {
        "study": "steered", "model": str(tiny_files.model), "prompts": str(tiny_files.prompts),
        "samples": 2, "moments_samples": 100, "device": "cpu", "along": ["pca:2_against"],
    }  # fmt: skip
    file = tmp_path / "steered.yaml"
    file.write_text(yaml.safe_dump(asked))
    with pytest.raises(SystemExit) as ended:
        main(["run", str(file), "--out", str(tmp_path / "yaml")])
    assert not ended.value.code
    options = [
        f"--{key.replace('_', '-')}={value if key != 'along' else 'pca:2_against'}"
        for key, value in asked.items()
        if key != "study"
    ]
    with pytest.raises(SystemExit) as ended:
        main(["reproduce", "steered", *options, "--out", str(tmp_path / "line")])
    assert not ended.value.code
    both = [steppe.open_run(tmp_path / name).dataset("paths") for name in ("yaml", "line")]
    assert list(both[0]["kind"].values) == ["real", "pca:2_against"]
    np.testing.assert_array_equal(both[0]["l2"], both[1]["l2"])


def test_crossings_follow_a_set_from_every_prompt(tiny_files: Any) -> None:
    model = steppe.load_model(tiny_files.model, device="cpu")
    tokens = steppe.load_prompts(tiny_files.prompts, model, length=10, count=3).tokens
    site = "blocks.1.hook_resid_pre"
    ways = steppe.directions.random(model, 2)
    found = steppe.crossings(model, tokens, site, ways, level=0.1)
    assert list(found["draw"].values) == ["random:1", "random:2"]
    by_hand = steppe.crossings(model, tokens, site, ways.vectors.expand(3, -1, -1), level=0.1)
    np.testing.assert_array_equal(found["crossing"], by_hand["crossing"])
