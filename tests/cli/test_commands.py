"""The commands end to end on the tiny model: what they print, and what they leave behind."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml

import steppe as library
from steppe.cli.main import main
from steppe.studies.giglemiani2024.outputs import KINDS, MODES

Steppe = Callable[..., Any]
SAMPLES = 30
COLUMNS = [
    "kind", "mode", "n", "mean", "std", "ks", "mean_low", "mean_high", "ks_low", "ks_high",
    "ks_is_upper_bound", "published_mean", "published_std", "published_ks",
]  # fmt: skip
STEP_TABLES = ["table_1", "table_a1", "table_b1", "table_b2", "table_c1", "table_d1"]
FIGURES = ["1", "2", "3", "a1", "b1", "b2", "c1", "d1", "e1", "e2"]


@pytest.fixture(scope="module")
def finished(tiny_files: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The run folder of a whole study."""
    folder = tmp_path_factory.mktemp("study")
    study = folder / "study.yaml"
    settings = {
        "study": "giglemiani2024",
        "model": str(tiny_files.model),
        "sae": str(tiny_files.sae),
        "prompts": str(tiny_files.prompts),
        "samples": SAMPLES,
        "bootstrap": 100,
    }
    study.write_text(yaml.safe_dump(settings))
    with pytest.raises(SystemExit) as end:
        main(["run", str(study), "--out", str(folder / "run")])
    assert not end.value.code
    return folder / "run"


def hashes(folder: Path) -> dict[str, str]:
    """Hash of every stored array chunk."""
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.glob("*.zarr/**/*"))
        if path.is_file()
    }


def test_a_run_folder_holds_everything(finished: Path) -> None:
    for name in [*STEP_TABLES, "table_e", "figure_3", "claims"]:
        for ending in ("csv", "md", "tex"):
            assert (finished / "tables" / f"{name}.{ending}").stat().st_size, name
    for name in FIGURES:
        for ending in ("pdf", "png"):
            assert (finished / "figures" / f"figure_{name}.{ending}").stat().st_size, name
    for name in ("config.yaml", "provenance.json", "summary.md"):
        assert (finished / name).stat().st_size


def test_the_tables_have_the_promised_columns(finished: Path) -> None:
    for name in STEP_TABLES:
        table = pd.read_csv(finished / "tables" / f"{name}.csv")
        assert list(table.columns)[: len(COLUMNS)] == COLUMNS
        assert (table["n"] == SAMPLES).all()
        assert list(table.columns)[len(COLUMNS) :] == ["undefined", "censored"]
        assert (table.loc[table["kind"] == "real", "ks"] == 0).all()
    main_table = pd.read_csv(finished / "tables" / "table_1.csv").set_index("kind")
    assert main_table.loc["random", "published_mean"] == 52.49


def test_the_curves_are_labelled(finished: Path) -> None:
    curves = library.open_run(finished).curves
    assert dict(curves["l2"].sizes) == {
        "kind": len(KINDS), "mode": len(MODES), "sample": SAMPLES, "step": 100,
    }  # fmt: skip
    assert not curves["l2"].isel(step=0).values.any()
    assert curves["kl"].attrs["unit"] == "nats"
    assert np.isfinite(curves["target_distance"]).all()
    assert curves["tokens"].shape == (SAMPLES, 10)


def test_the_config_is_as_asked_and_as_resolved(finished: Path) -> None:
    config = yaml.safe_load((finished / "config.yaml").read_text())
    assert config["asked"]["samples"] == SAMPLES
    assert "step_size" not in config["asked"]
    assert config["resolved"]["step_size"] > 0
    assert "scaled to this model" in config["resolved"]["scales"]["origin"]
    assert len(config["resolved"]["model_identity"]["sha256"]) == 64
    provenance = json.loads((finished / "provenance.json").read_text())
    assert provenance[0]["self_check"]["max_relative_error"] < 1e-4


def test_the_asked_part_of_a_config_is_a_study(
    finished: Path, tmp_path: Path, steppe: Steppe
) -> None:
    asked = yaml.safe_load((finished / "config.yaml").read_text())["asked"]
    study = tmp_path / "again.yaml"
    study.write_text(yaml.safe_dump({**asked, "only": ["table_1"]}))
    assert steppe("run", study, "--out", tmp_path / "again").status == 0
    again = library.open_run(tmp_path / "again").curves
    first = library.open_run(finished).curves.sel(kind=again["kind"], mode=again["mode"])
    np.testing.assert_array_equal(again["l2"], first["l2"])


def test_the_same_command_again_measures_nothing_and_a_lost_shard_is_made_again(
    finished: Path, steppe: Steppe
) -> None:
    before = hashes(finished)
    study = finished.parent / "study.yaml"
    marker = finished / "done" / "curves" / "000001.json"
    written = (finished / "done" / "curves" / "000000.json").stat().st_mtime_ns
    marker.unlink()
    for chunk in (finished / "curves.zarr" / "l2" / "c").rglob("*"):
        if chunk.is_file() and "/1/" in str(chunk):
            chunk.unlink()
    done = steppe("run", study, "--out", finished)
    assert done.status == 0
    assert f"done: {finished}" in done.out
    assert marker.exists()
    assert hashes(finished) == before
    assert (finished / "done" / "curves" / "000000.json").stat().st_mtime_ns == written


def test_show_prints_tables_and_json(finished: Path, steppe: Steppe) -> None:
    shown = steppe("show", finished, "--table", "table_1")
    assert shown.status == 0
    assert "synthetic_structured" in shown.out
    whole = steppe("show", finished, "--all").out
    assert "table_1\n" in whole
    content = json.loads(steppe("show", finished, "--json").out)
    assert content["config"]["resolved"]["samples"] == SAMPLES
    assert content["tables"]["table_1"][0]["kind"] == "real"
    missing = steppe("show", finished, "--table", "table_9")
    assert missing.status == 2
    assert "no table 'table_9'" in missing.err


def test_show_says_in_one_screen_what_was_run_and_found(finished: Path, steppe: Steppe) -> None:
    shown = steppe("show", finished)
    assert shown.status == 0
    lines = shown.out.splitlines()
    assert lines[0].startswith("giglemiani2024 on ")
    # A command is not broken, however long the folder's name is.
    assert max(len(line) for line in lines if str(finished) not in line) <= 80
    assert len(lines) < 45
    assert f"steppe view {finished}" in shown.out


def test_pages_of_several_runs(finished: Path, steppe: Steppe, tmp_path: Path) -> None:
    copied = shutil.copytree(finished, tmp_path / "elsewhere" / finished.name)
    page = tmp_path / "both.html"
    assert steppe("report", finished, copied, "--out", page).status == 0
    assert f"{finished.name}-2" in page.read_text(encoding="utf-8")
    out = tmp_path / "site"
    done = steppe("bundle", out, finished, copied)
    assert done.status == 0, done.err
    pages = {f"{finished.name}-2.html", f"{finished.name}.html", "index.html"}
    assert {one.name for one in out.iterdir()} == pages
    assert (out / f"{finished.name}.html").read_bytes() == (finished / "report.html").read_bytes()
    assert f'href="{finished.name}-2.html"' in (out / "index.html").read_text(encoding="utf-8")
    again = steppe("bundle", out, finished)
    assert again.status == 2
    assert "something is there" in again.err
    (copied / "report.html").unlink()
    assert "steppe report" in steppe("bundle", tmp_path / "other", copied).err
    assert steppe("bundle", tmp_path / "other", tmp_path / "nowhere").status == 2
    assert not (tmp_path / "other").exists()
    assert "no report.html" in steppe("view", copied).err


def test_a_finished_run_has_nothing_left(finished: Path, steppe: Steppe) -> None:
    found = json.loads(steppe("status", finished, "--json").out)
    assert found["left"] == 0
    assert found["reported"]
    parts = {"curves", "plateaus"}
    said = {f"{part}_next_tokens" for part in parts}
    assert {progress["dataset"] for progress in found["datasets"]} == parts | said


def test_check_prints_quality_and_fails_an_sae_that_does_not_fit(
    tiny_files: Any, tmp_path: Path, steppe: Steppe
) -> None:
    words = [tiny_files.model, "--prompts", tiny_files.prompts, "--length", "12"]
    plain = steppe("check", *words)
    assert plain.status == 0, plain.err
    assert "agrees with the full forward pass" in plain.out
    with_sae = steppe("check", *words, "--sae", tiny_files.sae, "--json")
    assert json.loads(with_sae.out)["saes"][0]["quality"]["explained_variance"] > 0.5
    assert with_sae.status == 0
    bad = tmp_path / "sae"
    shutil.copytree(tiny_files.sae, bad)
    cfg = json.loads((bad / "cfg.json").read_text())
    cfg["metadata"] |= {"model_name": "pythia-70m", "coordinates": "raw"}
    (bad / "cfg.json").write_text(json.dumps(cfg))
    told = steppe("check", *words, "--sae", bad)
    assert told.status == 1
    assert "an SAE of the model 'pythia-70m'" in told.out
    assert "coordinates   raw" in told.out
    refused = steppe("check", *words, "--sae", bad, "--coordinates", "centered")
    assert "an SAE of raw residuals" in refused.err


def test_list_names_what_there_is(steppe: Steppe) -> None:
    listed = steppe("list")
    for name in ("giglemiani2024", "synthetic_baseline", "kl", "max_slope", "gpt2-small-res-jb"):
        assert name in listed.out
    assert set(json.loads(steppe("list", "--json").out)) >= {"studies", "kinds", "statistics"}


def test_version_and_help(steppe: Steppe) -> None:
    assert steppe("--version").out == f"steppe {library.__version__}\n"
    assert "reproduce" in steppe("--help").out


@pytest.mark.parametrize(
    "changes",
    [
        {"kinds": ["real", "synthetic_structured"]},
        {"only": ["figure_3"], "reading": "text", "threshold": 1e6},
        {"only": ["table_e"]},
        {"only": ["figure_1"], "samples": 2},
        {"reading": "text", "kinds": ["real", "random"]},
    ],
    ids=str,
)
def test_parts_of_the_study_run_on_their_own(
    tiny_files: Any, tmp_path: Path, steppe: Steppe, changes: dict[str, Any]
) -> None:
    study = tmp_path / "study.yaml"
    settings = {
        "study": "giglemiani2024",
        "model": str(tiny_files.model),
        "sae": str(tiny_files.sae),
        "prompts": str(tiny_files.prompts),
        "samples": 6,
        "bootstrap": 100,
        **changes,
    }
    study.write_text(yaml.safe_dump(settings))
    finished = steppe("run", study, "--out", tmp_path / "run")
    assert finished.status == 0, finished.err
    assert (tmp_path / "run" / "summary.md").exists()
    for name in changes.get("only", []):
        assert list((tmp_path / "run").glob(f"*/{name}.*"))
    if changes.get("threshold"):
        table = pd.read_csv(tmp_path / "run" / "tables" / "figure_3.csv")
        # None crosses: each counts as the grid's end, and no kind is later than another.
        assert (table["mean"] == 100).all()
        assert (table["censored_share"] == 1).all()
        claims = pd.read_csv(tmp_path / "run" / "tables" / "claims.csv")
        assert set(claims["verdict"]) == {"undecided"}


def test_saes_by_name(steppe: Steppe) -> None:
    listed = steppe("list", "saes", "gpt2-small-res-jb/blocks.1.")
    name, address = listed.out.split()
    assert name == "gpt2-small-res-jb/blocks.1.hook_resid_pre"
    assert address == "jbloom/GPT2-Small-SAEs-Reformatted/blocks.1.hook_resid_pre"
    assert "no SAE with 'nothing-like-it'" in steppe("list", "saes", "nothing-like-it").err
    assert "'models'" in steppe("list", "models").err


def test_an_sae_is_converted(tiny_files: Any, tmp_path: Path, steppe: Steppe) -> None:
    done = steppe("sae", "convert", tiny_files.sae, tmp_path / "out")
    assert done.status == 0, done.err
    assert "standard, 16 -> 128" in done.out
    assert (tmp_path / "out/cfg.json").exists()
    again = steppe("sae", "convert", tiny_files.sae, tmp_path / "out")
    assert "something there already" in again.err


def test_show_says_what_chance_and_holms_correction_make_of_the_claims(
    steppe: Steppe, finished: Path
) -> None:
    shown = steppe("show", finished, "--table", "claims")
    assert "Verdict (Holm)" in shown.out
    assert "chance alone would give about 0.7 verdicts of 'holds'" in shown.out
    assert "After Holm's correction for 27 claims" in shown.out
    assert "After Holm's correction for 27 claims" in (finished / "summary.md").read_text()
