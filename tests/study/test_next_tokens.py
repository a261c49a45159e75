"""The likeliest next tokens along paths: those of a plain forward pass, of the first samples."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest
import torch

import steppe
from steppe.models import load_model
from steppe.store import Run
from steppe.study import BaseSettings, CurvePart, PageSettings, Study
from steppe.study.next_tokens import PLACES, TOP, NextTokens

N_POINTS = 41


class Settings(BaseSettings, PageSettings):
    study: Literal["doubled"] = "doubled"
    site: str = "blocks.1.hook_resid_pre"
    metrics: tuple[str, ...] = ("l2", "kl")


def part(settings: Any) -> CurvePart:
    return CurvePart(
        "paths",
        ["doubled", "same"],
        ["linear"],
        settings.metrics,
        n_points=N_POINTS,
        targets=lambda _context, bases: {
            "doubled": 2 * bases.activations,
            "same": bases.activations.clone(),
        },
    )


STUDY = Study(
    name="doubled",
    question="What would it say?",
    settings=Settings,
    parts=lambda settings: [part(settings)],
)


def run(files: Any, out: Path, **asked: Any) -> Run:
    return steppe.run(
        STUDY, model=files.model, prompts=files.prompts, device="cpu", out=out, bootstrap=100,
        **{"samples": 5, "next_tokens": 3, **asked},
    )  # fmt: skip


@pytest.fixture(scope="module")
def made(tiny_files: Any, tmp_path_factory: pytest.TempPathFactory) -> Run:
    return run(tiny_files, tmp_path_factory.mktemp("said") / "run")


def likeliest(model: Any, tokens: Any, factor: float) -> Any:
    """Of a plain forward pass with the last position of block 1's input multiplied, by hand."""

    def hook(_module: Any, args: Any) -> Any:
        stream = args[0].clone()
        last = stream[:, -1]
        stream[:, -1] = factor * (last - last.mean(dim=-1, keepdim=True))
        return stream, *args[1:]

    handle = model.transformer.h[1].register_forward_pre_hook(hook)
    try:
        with torch.inference_mode():
            logits = model(input_ids=torch.as_tensor(tokens)[None]).logits[0, -1]
    finally:
        handle.remove()
    return logits.softmax(-1).topk(TOP)


def test_they_are_those_of_a_plain_forward_pass(made: Run, tiny_files: Any) -> None:
    data = made.dataset("paths_next_tokens").load()
    model = load_model(tiny_files.model, device="cpu", engine="general").hf_model
    assert data.sizes["sample"] == 3
    assert data["step_of_place"].values.tolist() == list(range(0, N_POINTS, 2))
    for sample in range(3):
        tokens = data["tokens"].values[sample]
        for place, factor in [(0, 1.0), (7, 1 + 14 / 40), (PLACES - 1, 2.0)]:
            expected = likeliest(model, tokens, factor)
            found = data.sel(kind="doubled", mode="linear").isel(sample=sample, place=place)
            np.testing.assert_allclose(found["probability"], expected.values, rtol=1e-4)
            # Equally likely tokens may change places.
            assert {*found["next_token"].values.tolist()} == {*expected.indices.tolist()}
    same = data["next_token"].sel(kind="same")
    assert (same == same.isel(place=0)).all()


def test_the_run_keeps_their_texts_and_its_page_shows_them(made: Run) -> None:
    assert not (made.path / "tokens.json").exists()  # this model has no tokenizer
    assert '"next":{"steps":[0,2' in (made.path / "report.html").read_text(encoding="utf-8")


def test_no_other_number_changes_and_a_longer_run_keeps_them(
    made: Run, tiny_files: Any, tmp_path: Path
) -> None:
    without = run(tiny_files, tmp_path / "none", next_tokens=0)
    assert without.datasets() == ["paths"]
    np.testing.assert_array_equal(without.dataset("paths")["kl"], made.dataset("paths")["kl"])
    run(tiny_files, tmp_path / "grown", samples=2)
    grown = run(tiny_files, tmp_path / "grown").dataset("paths_next_tokens")
    for name in ("next_token", "probability"):
        np.testing.assert_array_equal(grown[name], made.dataset("paths_next_tokens")[name])


def test_without_logits_there_are_none(tiny_files: Any) -> None:
    named = {"model": str(tiny_files.model), "prompts": str(tiny_files.prompts)}
    assert [one.name for one in STUDY.plan(Settings(**named, metrics=("l2",))).parts] == ["paths"]
    [_, said] = STUDY.plan(Settings(**named, samples=50)).parts
    assert isinstance(said, NextTokens)
    assert said.points_of(Settings(**named, samples=50)) == 50 * 2 * PLACES
