"""Singled out outputs: no more is measured than they need, and the weights decide what there is."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
import pandas as pd
import pytest
import torch

import steppe
from steppe.activations import KINDS
from steppe.study import (
    Analysis,
    BaseSettings,
    Claim,
    CurvePart,
    FunctionPart,
    Need,
    Study,
    Table,
    is_published,
    positive,
)

ENDS = Need("paths", {"kind": ("real", "random"), "mode": ("linear",)}, ("l2",))


class Settings(BaseSettings):
    SAE_OF_PAPER: ClassVar[str] = "the paper's"

    study: Literal["singled_out"] = "singled_out"
    site: str = "blocks.1.hook_resid_pre"
    only: tuple[str, ...] = ()


def ends(analysis: Any, metric: str = "l2") -> pd.DataFrame:
    last = analysis[f"paths/{metric}"].isel(step=-1).mean("sample")
    return last.to_dataframe().reset_index()


def claim(name: str, kind: str) -> Claim:
    return Claim(
        name,
        "L2 grows.",
        "mean L2",
        lambda values: positive(lambda x: float(np.mean(x)), values),
        (Need("paths", {"kind": (kind,)}),),
        values=lambda run: run["paths/l2"].sel(kind=kind, mode="linear").values[:, -1],
        outputs=("ends",),
    )


STUDY = Study(
    name="singled_out",
    question="Is no more measured than was asked for?",
    settings=Settings,
    parts=lambda _: [
        CurvePart(
            "paths", ["real", "random", "isotropic"], ["linear", "slerp"], ["l2", "kl"], n_points=5
        ),
        FunctionPart("beside", lambda _: 1 / 0, lambda *_: {}, frozenset({"sae"})),
    ],
    tables=[
        Table("ends", "L2 at the end.", ends, (ENDS,)),
        Table(
            "kl", "KL at the end.", lambda run: ends(run, "kl"), (Need("paths", metrics=("kl",)),)
        ),
    ],
    claims=[claim("A1", "real"), claim("A2", "synthetic_random")],
)


def run(tiny_files: Any, out: Path, **settings: Any) -> Any:
    return steppe.run(
        STUDY,
        model=tiny_files.model,
        prompts=tiny_files.prompts,
        samples=6,
        moments_samples=100,
        device="cpu",
        out=out,
        **settings,
    )


def test_only_what_an_output_needs_is_measured(tiny_files: Any, tmp_path: Path) -> None:
    whole = run(tiny_files, tmp_path / "whole").dataset("paths")
    done = run(tiny_files, tmp_path / "run", only=("ends",))
    part = done.dataset("paths")
    assert [*part["kind"].values] == ["real", "random"]
    assert [*part["mode"].values] == ["linear"]
    assert "l2" in part
    assert "kl" not in part
    assert {*done.tables} == {"ends", "claims"}
    np.testing.assert_array_equal(part["tokens"], whole["tokens"])
    np.testing.assert_array_equal(
        part["target_distance"], whole["target_distance"].sel(kind=["real", "random"])
    )


def test_a_report_asks_no_part_what_was_singled_out(tiny_files: Any, tmp_path: Path) -> None:
    done = run(tiny_files, tmp_path / "run", only=("ends",))

    def parts(_: Any) -> Any:
        raise AssertionError("what measures was loaded")

    study, analysis = replace(STUDY, parts=parts), Analysis.of(done, Settings)
    made = [one.name for one in study.outputs if study.wants(analysis, [one.name], one.needs)]
    assert made == ["ends"]


def test_a_part_can_be_singled_out_whole(tiny_files: Any, tmp_path: Path) -> None:
    done = run(tiny_files, tmp_path / "run", only=("paths",))
    assert {"l2", "kl"} <= {*done.dataset("paths")}
    assert {*done.tables} == {"ends", "kl", "claims"}


def test_claims_of_kinds_that_were_not_measured_are_not_decided(
    tiny_files: Any, tmp_path: Path
) -> None:
    assert [*run(tiny_files, tmp_path / "run").claims["id"]] == ["A1"]
    other = run(tiny_files, tmp_path / "other", only=("kl",))
    assert "claims" not in other.tables


def test_a_kind_of_ones_own_belongs_to_every_output() -> None:
    def halfway(request: steppe.activations.TargetRequest) -> torch.Tensor:
        """Halfway to the real target."""
        return (request.base + request.real) / 2

    steppe.register_kind(needs=("pool",))(halfway)
    try:
        part = CurvePart("paths", ["real", "random", "halfway"], n_points=5)
        assert [*part.only([Need("paths", {"kind": ("real",)})]).kinds] == ["real", "halfway"]
    finally:
        KINDS._entries.pop("halfway")


def test_isotropic_targets_lie_as_far_away_as_real_ones_without_these(
    tiny_files: Any, tmp_path: Path
) -> None:
    distance = run(tiny_files, tmp_path / "run").dataset("paths")["target_distance"]
    study = Study("alone", "?", lambda _: [CurvePart("paths", ["isotropic"], n_points=3)])
    alone = steppe.run(
        study,
        model=tiny_files.model,
        prompts=tiny_files.prompts,
        site="blocks.1.hook_resid_pre",
        samples=6,
        moments_samples=100,
        device="cpu",
        out=tmp_path / "alone",
    )
    np.testing.assert_array_equal(
        alone.dataset("paths")["target_distance"].sel(kind="isotropic"),
        distance.sel(kind="isotropic"),
    )


def test_what_needs_the_papers_sae_is_planned_once_the_weights_are_known(
    tiny_files: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("steppe.settings.study_settings.is_papers_model", lambda _: True)
    monkeypatch.setattr(
        "steppe.study.saes.load_sae", lambda source, **_: pytest.fail(f"opened {source}")
    )
    with pytest.raises(pytest.fail.Exception, match="opened the paper's"):
        run(tiny_files, tmp_path / "run")


def test_a_run_is_published_where_every_setting_is() -> None:
    settings = Settings(paper_settings=True, samples=1000)
    expected = {"samples": lambda value: value >= 1000, "dtype": "float32"}
    assert is_published(settings, expected)
    assert not is_published(settings.model_copy(update={"samples": 999}), expected)
    assert not is_published(settings.model_copy(update={"dtype": "float64"}), expected)
    assert not is_published(settings.model_copy(update={"paper_settings": False}), expected)
