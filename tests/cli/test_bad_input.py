"""A user's mistake prints one message that says where and how to mend it; nothing is written."""

from __future__ import annotations

import errno
import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

Steppe = Callable[..., Any]


@pytest.fixture
def reproduce(steppe: Steppe, tiny_files: Any, tmp_path: Path) -> Steppe:
    """`steppe reproduce` on the tiny model, with options changed; None leaves one out."""

    def run(**changes: Any) -> Any:
        options = {
            "model": tiny_files.model,
            "sae": tiny_files.sae,
            "prompts": tiny_files.prompts,
            "samples": 4,
            "only": "table_1",
            "out": tmp_path / "run",
            **changes,
        }
        words = [f"--{key}={value}" for key, value in options.items() if value is not None]
        return steppe("reproduce", "giglemiani2024", *words)

    return run


def assert_told(finished: Any, *texts: str, status: int = 2) -> None:
    assert finished.status == status, finished.err
    assert "Traceback" not in finished.err
    for text in texts:
        assert text in finished.err, finished.err


def write_prompts(path: Path, rows: list[list[int]]) -> Path:
    path.write_text("".join(json.dumps({"input_ids": row}) + "\n" for row in rows))
    return path


def test_unknown_study(steppe: Steppe) -> None:
    assert_told(steppe("reproduce", "giglemiani2042"), "did you mean 'giglemiani2024'?")


def test_samples_below_two(reproduce: Steppe, tmp_path: Path) -> None:
    assert_told(reproduce(samples=1), "samples: 1", "greater than or equal to 2")
    assert not (tmp_path / "run").exists()


def test_unknown_table(reproduce: Steppe) -> None:
    assert_told(reproduce(only="table_11"), "'table_11'", "did you mean 'table_1'?")


def test_unknown_reading_and_dtype(reproduce: Steppe) -> None:
    assert_told(reproduce(reading="paper", dtype="float8"), "reading: 'paper'", "dtype: 'float8'")


def test_missing_model(reproduce: Steppe, tmp_path: Path) -> None:
    assert_told(reproduce(model=tmp_path / "nowhere"), "no such folder", "fix:")


def test_no_sae_for_what_needs_one(reproduce: Steppe) -> None:
    assert_told(reproduce(sae=None, only="table_e"), "latents: it needs an SAE", "--sae")


@pytest.mark.parametrize(
    ("setting", "texts"),
    [
        ("site: blocks.1.hook_mlp_out", ("blocks.1.hook_mlp_out", "blocks.<layer>.hook_resid_pre")),
        ("site: blocks.9.hook_resid_pre", ("layer 9", "0 to 2")),
        ("site: blocks.2.hook_resid_pre", ("an SAE of blocks.1.hook_resid_pre",)),
        ("kinds: [real, synthetic_basline]", ("did you mean 'synthetic_baseline'?",)),
        ("prompt_lenght: 9", ("unknown key 'prompt_lenght'", "perhaps 'prompt_length'")),
        ("prompt_length: 40", ("40", "1 to 32, the context length")),
    ],
)
def test_settings_that_do_not_fit(
    steppe: Steppe, tiny_files: Any, tmp_path: Path, setting: str, texts: tuple[str, ...]
) -> None:
    study = tmp_path / "study.yaml"
    study.write_text(
        f"study: giglemiani2024\nmodel: {tiny_files.model}\nsae: {tiny_files.sae}\n"
        f"prompts: {tiny_files.prompts}\nsamples: 4\n{setting}\n"
    )
    assert_told(steppe("run", study, "--out", tmp_path / "run"), *texts)
    assert not (tmp_path / "run").exists()


def test_sae_of_another_width(reproduce: Steppe, tiny_files: Any, tmp_path: Path) -> None:
    folder = tmp_path / "sae"
    shutil.copytree(tiny_files.sae, folder)
    config = json.loads((folder / "cfg.json").read_text())
    (folder / "cfg.json").write_text(json.dumps({**config, "d_in": 8}))
    weights = load_file(folder / "sae_weights.safetensors")
    narrow = {
        "W_enc": weights["W_enc"][:8].contiguous(),
        "W_dec": weights["W_dec"][:, :8].contiguous(),
        "b_dec": weights["b_dec"][:8].contiguous(),
        "b_enc": weights["b_enc"],
    }
    save_file(narrow, folder / "sae_weights.safetensors")
    assert_told(reproduce(sae=folder), "8", "16")


def test_nan_in_weights(reproduce: Steppe, tiny_files: Any, tmp_path: Path) -> None:
    folder = tmp_path / "model"
    shutil.copytree(tiny_files.model, folder)
    weights = load_file(folder / "model.safetensors")
    name = next(iter(weights))
    weights[name] = torch.full_like(weights[name], float("nan"))
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    assert_told(reproduce(model=folder), "NaN")


def test_prompts_shorter_than_asked(reproduce: Steppe, tmp_path: Path) -> None:
    short = write_prompts(tmp_path / "short.jsonl", [[1, 2, 3]] * 40)
    assert_told(reproduce(prompts=short), "a row of 3 tokens", "at least 10")


def test_empty_prompts(reproduce: Steppe, tmp_path: Path) -> None:
    empty = tmp_path / "empty.jsonl"
    empty.touch()
    assert_told(reproduce(prompts=empty), "empty.jsonl")


def test_fewer_prompts_than_samples(reproduce: Steppe) -> None:
    assert_told(reproduce(samples=401), "400 prompts of 10 tokens", "per sample: 401")


def test_tokens_outside_the_vocabulary(reproduce: Steppe, tmp_path: Path) -> None:
    wild = write_prompts(tmp_path / "wild.jsonl", [[64] * 10] * 40)
    assert_told(reproduce(prompts=wild), "token id 64", "0 to 63")


def test_a_missing_extra_names_itself(
    reproduce: Steppe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "data"
    folder.mkdir()
    (folder / "dataset_info.json").touch()
    monkeypatch.setitem(sys.modules, "datasets", None)
    assert_told(reproduce(prompts=folder), "pip install 'steppe[datasets]'")


def test_a_run_of_another_configuration_is_refused_untouched(
    reproduce: Steppe, tmp_path: Path
) -> None:
    assert reproduce().status == 0
    before = {path: path.read_bytes() for path in (tmp_path / "run").rglob("*") if path.is_file()}
    assert_told(reproduce(seed=5), "seed: 0 -> 5", "choose another folder with --out")
    after = {path: path.read_bytes() for path in (tmp_path / "run").rglob("*") if path.is_file()}
    assert before == after


def test_a_foreign_folder_and_a_file_are_refused(reproduce: Steppe, tmp_path: Path) -> None:
    folder = tmp_path / "thesis"
    folder.mkdir()
    (folder / "chapter.txt").write_text("precious")
    assert_told(reproduce(out=folder), "chapter.txt")
    assert_told(reproduce(out=folder / "chapter.txt"), "a file")
    assert (folder / "chapter.txt").read_text() == "precious"


def test_a_full_disk_is_a_failed_run(reproduce: Steppe, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: Any, **__: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device", "curves.zarr")

    monkeypatch.setattr("steppe.store.manifest.write_files", full)
    assert_told(reproduce(), "no space left", status=1)


def test_a_folder_that_is_no_run(steppe: Steppe, tmp_path: Path) -> None:
    assert_told(steppe("show", tmp_path), "config.yaml")


def test_the_process_itself_exits_with_the_status() -> None:
    command = [sys.executable, "-m", "steppe.cli", "reproduce", "nothing"]
    finished = subprocess.run(command, capture_output=True, text=True, check=False)
    assert finished.returncode == 2
    assert finished.stderr.startswith("steppe: study\n")
    assert "Traceback" not in finished.stderr


def test_a_run_below_a_file_is_refused_before_anything_is_loaded(
    steppe: Steppe, tmp_path: Path
) -> None:
    (tmp_path / "notes.txt").touch()
    out = tmp_path / "notes.txt" / "run"
    assert_told(steppe("reproduce", "giglemiani2024", "--out", out), "notes.txt is a file")


def test_a_run_that_is_not_finished_has_no_tables_to_show(
    reproduce: Steppe, steppe: Steppe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop(*_: Any) -> None:
        raise OSError(errno.EIO, "Input/output error", "device")

    monkeypatch.setattr("steppe.study.running.report", stop)
    assert_told(reproduce(), "Input/output error", "fix:", status=1)
    assert_told(steppe("show", tmp_path / "run"), "no tables", "repeat the run's command")


@pytest.mark.parametrize("place", ["/proc/x", "/proc/self/x/y"])
def test_a_place_that_holds_no_folders_is_refused_before_anything_is_loaded(
    steppe: Steppe, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    def load_nothing(*_: Any) -> None:
        raise AssertionError("too late")

    monkeypatch.setattr("steppe.execution.run.run_study", load_nothing)
    assert_told(steppe("reproduce", "lee2024", "--out", place), f"run folder {place}", "--out")
