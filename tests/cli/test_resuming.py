"""Runs that are stopped, continued, extended, shared and begun anew, as a user does it."""

from __future__ import annotations

import hashlib
import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import steppe as library
from steppe.core.parts import Part
from steppe.store import Opening
from steppe.store.locks import acquire

Steppe = Callable[..., Any]


def arrays(run: Path) -> dict[str, str]:
    """Hash of every stored file of the run's arrays."""
    return {
        str(path.relative_to(run)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(run.glob("*.zarr/**/*"))
        if path.is_file()
    }


@pytest.fixture(scope="module")
def words(tiny_files: Any) -> Callable[..., list[str]]:
    """A command line on the tiny model."""

    def make(out: Path, samples: int, *more: object) -> list[str]:
        options = {
            "model": tiny_files.model, "sae": tiny_files.sae, "prompts": tiny_files.prompts,
            "samples": samples, "only": "table_1", "out": out,
        }  # fmt: skip
        given = [f"--{key}={value}" for key, value in options.items()]
        return ["reproduce", "giglemiani2024", *given, *map(str, more)]

    return make


def test_more_samples_extend_a_run_to_what_a_larger_run_is(
    steppe: Steppe, words: Callable[..., list[str]], tmp_path: Path
) -> None:
    assert steppe(*words(tmp_path / "run", 30)).status == 0
    first = (tmp_path / "run" / "done" / "curves" / "000000.json").read_bytes()
    assert steppe(*words(tmp_path / "run", 50)).status == 0
    assert (tmp_path / "run" / "done" / "curves" / "000000.json").read_bytes() == first
    fewer = steppe(*words(tmp_path / "run", 30))
    assert fewer.status == 2
    assert "samples: 50 -> 30" in fewer.err
    assert steppe(*words(tmp_path / "at_once", 50)).status == 0
    assert arrays(tmp_path / "run") == arrays(tmp_path / "at_once")
    tables = [(tmp_path / name / "tables" / "table_1.csv") for name in ("run", "at_once")]
    assert tables[0].read_bytes() == tables[1].read_bytes()


def test_parts_make_the_run_and_the_last_one_reports(
    steppe: Steppe, words: Callable[..., list[str]], tmp_path: Path
) -> None:
    first = steppe(*words(tmp_path / "run", 50, "--shard=1/2"))
    assert first.status == 0, first.err
    assert "part 1/2 is done: 2 shards" in first.out
    assert not (tmp_path / "run" / "summary.md").exists()
    status = json.loads(steppe("status", tmp_path / "run", "--json").out)
    assert (status["done"], status["left"], status["running"]) == (1, 2, [])
    assert "done: " in steppe(*words(tmp_path / "run", 50, "--shard=0/2")).out
    assert (tmp_path / "run" / "summary.md").exists()
    assert "report    written" in steppe("status", tmp_path / "run").out
    assert steppe(*words(tmp_path / "alone", 50)).status == 0
    assert arrays(tmp_path / "run") == arrays(tmp_path / "alone")
    ends = [record["ending"] for record in library.open_run(tmp_path / "run").provenance]
    assert ends == ["finished", "finished"]


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_ends_a_run_in_one_line_and_leaves_it_in_order(
    words: Callable[..., list[str]], steppe: Steppe, tmp_path: Path, number: int, status: int
) -> None:
    run = tmp_path / "run"
    command = [sys.executable, "-m", "steppe.cli", *words(run, 400)]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 120
    while not list(run.glob("done/curves/[0-9]*.json")) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert "running   process" in steppe("status", run).out
    second = steppe(*words(run, 400))
    assert second.status == 2
    assert f"another run is at work in it: process {process.pid}" in second.err
    process.send_signal(number)
    _, told = process.communicate(timeout=60)
    assert process.returncode == status
    assert told.count("\n") == 1, told
    assert "the same command goes on where this one stopped" in told
    assert not list((run / "working").glob("*.json"))
    [record] = library.open_run(run).provenance
    assert record["ending"] == "interrupted"
    assert steppe("check-run", run).status == 0


def test_overwriting_asks_on_a_terminal_only(
    steppe: Steppe,
    words: Callable[..., list[str]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    run = tmp_path / "run"
    assert steppe(*words(run, 10)).status == 0
    monkeypatch.setattr("steppe.cli.running.sys.stdin.isatty", lambda: True, raising=False)
    asked: list[str] = []

    def answer(text: str) -> str:
        asked.append(text)
        return "no" if len(asked) == 1 else "run"

    monkeypatch.setattr("typer.prompt", answer)
    refused = steppe(*words(run, 8, "--overwrite"))
    assert refused.status == 2
    assert "'no' typed" in refused.err
    assert library.open_run(run).config["resolved"]["samples"] == 10
    assert steppe(*words(run, 8, "--overwrite")).status == 0
    assert library.open_run(run).config["resolved"]["samples"] == 8
    assert len(asked) == 2
    monkeypatch.setattr("steppe.cli.running.sys.stdin.isatty", lambda: False, raising=False)
    assert steppe(*words(run, 6, "--overwrite")).status == 0
    assert len(asked) == 2


def test_nothing_but_a_run_is_overwritten(
    steppe: Steppe, words: Callable[..., list[str]], tmp_path: Path
) -> None:
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "chapter.txt").write_text("precious")
    refused = steppe(*words(tmp_path / "thesis", 4, "--overwrite"))
    assert refused.status == 2
    assert "chapter.txt" in refused.err
    assert (tmp_path / "thesis" / "chapter.txt").read_text() == "precious"


def test_damage_is_named_and_the_next_run_mends_it(
    steppe: Steppe, words: Callable[..., list[str]], tmp_path: Path
) -> None:
    run = tmp_path / "run"
    assert steppe(*words(run, 50)).status == 0
    before = arrays(run)
    chunk = run / "curves.zarr" / "l2" / "c" / "0" / "0" / "1" / "0"
    content = bytearray(chunk.read_bytes())
    content[len(content) // 2] ^= 4
    chunk.write_bytes(content)
    found = steppe("check-run", run, "--json")
    assert found.status == 1
    [damage] = json.loads(found.out)["damage"]
    assert damage["place"] == "curves, shard 1"
    assert "l2/c/0/0/1/0" in damage["fault"]
    assert steppe(*words(run, 50)).status == 0
    assert arrays(run) == before
    assert "3 shards sound" in steppe("check-run", run).out


def test_provenance_is_complete(
    steppe: Steppe, words: Callable[..., list[str]], tmp_path: Path
) -> None:
    run = tmp_path / "run"
    assert steppe(*words(run, 4)).status == 0
    [record] = json.loads(steppe("show", run, "--provenance", "--json").out)
    keys = "packages commit python platform command started device threads dtype engine self_check"
    assert {*keys.split(), "seed", "wall_seconds", "ending", "steppe"} <= record.keys()
    for name in ("model", "sae", "prompts"):
        assert len(record[name]["sha256"]) == 64
    shown = steppe("show", run, "--provenance").out
    assert "model.sha256" in shown
    assert "start 1 of 1" in shown


def test_a_newer_store_is_refused(
    steppe: Steppe, words: Callable[..., list[str]], tmp_path: Path
) -> None:
    run = tmp_path / "run"
    assert steppe(*words(run, 4)).status == 0
    config = run / "config.yaml"
    config.write_text(config.read_text().replace("format: 2", "format: 3"))
    (run / "done" / "run.json").unlink()
    for command in (["status", run], ["check-run", run], ["show", run], words(run, 4)):
        refused = steppe(*command)
        assert refused.status == 2
        assert "format 3" in refused.err
        assert "use the version of steppe that wrote it" in refused.err


def test_a_folder_that_cannot_be_written(
    steppe: Steppe,
    words: Callable[..., list[str]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr("steppe.store.locks.FileLock.acquire", refuse)
    refused = steppe(*words(tmp_path / "run", 4))
    assert refused.status == 1
    assert "Read-only file system" in refused.err
    assert "Traceback" not in refused.err


def test_bad_words_about_workers(
    steppe: Steppe, words: Callable[..., list[str]], tmp_path: Path
) -> None:
    for more, text in {
        "--shard=4/4": "an index from 0 to count - 1",
        "--workers=dask": "serial, ray, or ray:<count>",
        "--threads=0": "",
    }.items():
        refused = steppe(*words(tmp_path / "run", 4, more))
        assert refused.status == 2
        assert text in refused.err
    assert not (tmp_path / "run").exists()


def test_ray_that_is_not_installed_names_the_extra(
    steppe: Steppe,
    words: Callable[..., list[str]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    refused = steppe(*words(tmp_path / "run", 4, "--workers=ray"))
    assert refused.status == 2
    assert "pip install 'steppe[ray]'" in refused.err


def test_a_part_waits_for_no_other_part(
    steppe: Steppe, words: Callable[..., list[str]], tmp_path: Path
) -> None:
    run = tmp_path / "run"
    assert steppe(*words(run, 50, "--shard=0/3")).status == 0
    other = acquire(run, Part(1, 3))
    assert steppe(*words(run, 50, "--shard=2/3")).status == 0
    assert steppe(*words(run, 50)).status == 2
    with pytest.raises(Exception, match="another run is at work"):
        Opening(run).check({})
    other.release()


def test_the_engine_belongs_to_a_run_and_the_memory_budget_does_not(
    steppe: Steppe, words: Callable[..., list[str]], tmp_path: Path
) -> None:
    run = tmp_path / "run"
    assert steppe(*words(run, 4), "--engine", "fast").status == 0
    refused = steppe(*words(run, 4), "--engine", "general")
    assert refused.status == 2
    assert "engine: fast -> general" in refused.err
    little = tmp_path / "little"
    assert steppe(*words(little, 4), "--engine", "fast", "--memory-budget", "1GB").status == 0
    assert arrays(run) == arrays(little)
    record = json.loads(steppe("show", little, "--provenance", "--json").out)[-1]
    assert record["memory_budget"] == 10**9
    assert 0 <= record["self_check"]["noise_floor"] < 0.1
