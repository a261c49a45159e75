"""The whole study on the tiny model, by the command line: tables, figures, claims, resuming."""

from __future__ import annotations

import runpy
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml

import steppe
from steppe.cli.main import main

FIGURES = [f"figure_{number}" for number in range(1, 9)]
TABLES = [f"table_{number}" for number in range(1, 10)]


def run(folder: Path, asked: dict[str, Any], *options: str) -> Path:
    study = folder / "study.yaml"
    study.write_text(yaml.safe_dump(asked))
    with pytest.raises(SystemExit) as end:
        main(["run", str(study), "--out", str(folder / "run"), *options])
    assert not end.value.code
    return folder / "run"


@pytest.fixture(scope="module")
def finished(asked: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> Path:
    return run(tmp_path_factory.mktemp("lee"), asked)


def test_every_table_and_figure_is_there(finished: Path) -> None:
    for name in [*TABLES, "claims", "published_errors", "published_features"]:
        assert len(pd.read_csv(finished / "tables" / f"{name}.csv")), name
    for name in FIGURES:
        assert (finished / "figures" / f"{name}.png").stat().st_size > 10_000
        caption = (finished / "figures" / f"{name}.txt").read_text()
        assert "n = 6 sequences, 8 tokens of each" in caption
        where = "each SAE's own site" if name == "figure_2" else "blocks.1.hook_resid_pre"
        assert f"model (local folder), all positions moved at {where}" in caption


def test_claims_begin_as_in_every_study(finished: Path) -> None:
    claims = pd.read_csv(finished / "tables" / "claims.csv")
    assert list(claims.columns[:6]) == ["id", "statement", "number", "low", "high", "verdict"]
    ids = set(claims["id"])
    assert {"LH1a", "LH2", "LH3a", "LH4b", "LH4c", "LH5", "LH5c", "LH6a", "LH7a"} <= ids
    assert not {"LH7a-ds"} & ids
    defined = claims.dropna(subset=["number", "low", "high"])
    assert (defined["low"] <= defined["high"]).all()


def test_every_length_is_in_the_table_of_curves(finished: Path) -> None:
    curves = pd.read_csv(finished / "figures" / "curves.csv")
    assert (curves.loc[curves["length"] == 0, "kl"] == 0).all()
    shown = curves[(curves["kind"] == "isotropic") & (curves["site"] == "blocks.1.hook_resid_pre")]
    assert shown["paper_length"].round(6).tolist() == [0, 1, 11, 51]
    table = pd.read_csv(finished / "tables" / "table_1.csv").set_index("kind")
    assert table.loc["isotropic", "kl_at_51"] == pytest.approx(shown["kl"].iloc[-1])


def test_parts_of_a_run_give_the_same_numbers(asked: dict[str, Any], tmp_path: Path) -> None:
    some = {"only": ["baselines"], "lengths": "coarse", "saes": [], "sae": asked["saes"][0]}
    little = {**asked, **some}
    (tmp_path / "parts").mkdir()
    whole = run(tmp_path, little)
    for part in ("1/2", "0/2"):
        parted = run(tmp_path / "parts", little, "--shard", part)
    found = [steppe.open_run(path).dataset("directions")["kl"].values for path in (whole, parted)]
    np.testing.assert_array_equal(*found)
    claims = [(path / "tables" / "claims.csv").read_bytes() for path in (whole, parted)]
    assert claims[0] == claims[1]


def test_without_saes_less_is_made_and_said(asked: dict[str, Any], tmp_path: Path) -> None:
    """The last position alone, too: one token a sequence."""
    parts = ["baselines", "features", "end_to_end"]
    one = {**asked, "saes": [], "sae": f"{asked['saes'][0]}/later", "only": parts}
    folder = run(tmp_path, {**one, "positions": "last"})
    caption = (folder / "figures" / "figure_1.txt").read_text()
    assert "n = 6 sequences, one token of each" in caption
    summary = (folder / "summary.md").read_text()
    assert "features (no SAE for it), end_to_end (no SAE for it)" in summary
    assert "checks (not asked for)" in summary
    assert not (folder / "tables" / "table_3.csv").exists()
    assert (folder / "tables" / "table_1.csv").exists()


def test_one_part_alone_is_reported(asked: dict[str, Any], tmp_path: Path) -> None:
    """Of the SAEs of the study's own site only the one that stands for it is substituted."""
    folder = run(tmp_path, {**asked, "only": ["errors"], "samples": 2})
    substituted = pd.read_csv(folder / "tables" / "table_5.csv")
    assert len({"dense", "sparse", "trained"} & set(substituted["sae"])) == 1
    assert (folder / "figures" / "figure_5.png").exists()
    assert not (folder / "figures" / "figure_3.png").exists()
    layers = pd.read_csv(folder / "tables" / "table_2.csv")
    assert layers["ratio_over_lengths_to_real_mixture"].notna().all()


@pytest.mark.usefixtures("no_report")
def test_the_same_command_goes_on(asked: dict[str, Any], tmp_path: Path) -> None:
    """With what the study resolves by itself: SAEs of a folder, named lengths, scale, site."""
    some = {"only": ["features"], "lengths": "coarse", "saes": [], "sae": asked["saes"][0]}
    little = {**asked, **some, "samples": 4}
    folder = run(tmp_path, little)
    before = steppe.open_run(folder).dataset("directions")["kl"].values
    assert run(tmp_path, {**little, "samples": 6}) == folder
    after = steppe.open_run(folder).dataset("directions")["kl"].values
    assert after.shape[1] == 6
    np.testing.assert_array_equal(after[:, :4], before)


def test_the_findings_of_a_run_are_told_from_its_tables(
    finished: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = Path(__file__).parents[3] / "benchmarks" / "lee2024_findings.py"
    monkeypatch.syspath_prepend(path.parent)
    section = runpy.run_path(str(path))["section"](finished)
    claims = pd.read_csv(finished / "tables" / "claims.csv")
    assert all(f"| {id_} |" in section for id_ in claims["id"])
    for told in ("Effective dimension alive", "SAE with base's norm", "zero 0.", "![figure_4]"):
        assert told in section, told


def test_a_model_without_saes_has_its_baselines(asked: dict[str, Any], tmp_path: Path) -> None:
    """What needs no SAE has the numbers that it has beside SAEs."""
    alone = {key: value for key, value in asked.items() if key not in {"saes", "accept_sae"}}
    some = {"only": ["baselines"], "samples": 2}
    folder = run(tmp_path, {**alone, **some})
    (tmp_path / "beside").mkdir()
    beside = run(tmp_path / "beside", {**asked, **some})
    found, expected = (steppe.open_run(path).dataset("directions") for path in (folder, beside))
    np.testing.assert_array_equal(found["kl"].values, expected["kl"].values)
    run_of_it = steppe.open_run(folder)
    assert run_of_it.datasets() == ["directions"]
    assert {"LH1a", "LH2", "LH3b"} <= set(run_of_it.claims["id"])
    summary = (folder / "summary.md").read_text()
    for told in ("errors and features of SAEs", "substitutions", "(no SAE for it)", "needs an SAE"):
        assert told in summary, told


@pytest.mark.usefixtures("no_report")
def test_objects_are_taken(asked: dict[str, Any], tmp_path: Path) -> None:
    """A model and an SAE as objects give the numbers of their folders."""
    sae = f"{asked['saes'][0]}/dense"
    names = ("prompts", "prompt_length", "moments_samples", "lengths", "device", "accept_sae")
    some = {name: asked[name] for name in names} | {"only": ["errors"], "samples": 2}
    named = steppe.run("lee2024", model=asked["model"], sae=sae, out=tmp_path / "named", **some)
    given = steppe.run(
        "lee2024",
        model=steppe.load_model(asked["model"], device="cpu"),
        sae=steppe.load_sae(sae),
        out=tmp_path / "given",
        **some,
    )
    for name in ("directions", "substitutions"):
        found, expected = (one.dataset(name)["kl"].values for one in (given, named))
        np.testing.assert_array_equal(found, expected)
