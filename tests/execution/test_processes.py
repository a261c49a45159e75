"""Processes that start side by side on one folder: torchrun's, a Slurm array's, and two by mistake.

Each is a real process, started by its launcher where that can be had, or with what it sets.
"""

from __future__ import annotations

import hashlib
import json
import os
import shlex
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from steppe.cli.main import main

SAMPLES = 80
STEPPE = [sys.executable, "-m", "steppe.cli"]
# Several commands in one process, which is started faster than several: status and stderr of each.
ONE_AFTER_THE_OTHER = """
import contextlib, io, json, sys
from steppe.cli.main import main
for words in sys.argv[1:]:
    with contextlib.redirect_stderr(io.StringIO()) as told:
        try:
            main(json.loads(words))
        except SystemExit as end:
            status = end.code or 0
    print(json.dumps([status, told.getvalue()]))
"""


def arrays(run: Path) -> dict[str, str]:
    """Hash of every stored file of the run's arrays."""
    return {
        str(path.relative_to(run)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(run.glob("*.zarr/**/*"))
        if path.is_file()
    }


def writers(run: Path) -> list[int]:
    """Which process stored each shard."""
    manifests = sorted(run.glob("done/curves/[0-9]*"))
    return [json.loads(path.read_text())["facts"]["pid"] for path in manifests]


def start(words: list[str], **environment: object) -> subprocess.Popen[str]:
    """Start a process as another program would."""
    given = {key: str(value) for key, value in environment.items()}
    return subprocess.Popen(
        words,
        env={**os.environ, "OMP_NUM_THREADS": "1", **given},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def end(process: subprocess.Popen[str]) -> tuple[int, str, str]:
    """How a process ended, and what it said."""
    out, err = process.communicate(timeout=300)
    return process.returncode, out, err


@pytest.fixture(scope="module")
def words(tiny_files: Any) -> Callable[[Path], list[str]]:
    """The command on the tiny model, one thread."""

    def make(out: Path) -> list[str]:
        options = {
            "model": tiny_files.model, "sae": tiny_files.sae, "prompts": tiny_files.prompts,
            "samples": SAMPLES, "only": "table_1", "threads": 1, "out": out,
        }  # fmt: skip
        given = [f"--{key}={value}" for key, value in options.items()]
        return [*STEPPE, "reproduce", "giglemiani2024", *given]

    return make


@pytest.fixture(scope="module")
def alone(words: Callable[[Path], list[str]], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The run as one process alone makes it."""
    run = tmp_path_factory.mktemp("alone") / "run"
    threads = torch.get_num_threads()
    try:
        with pytest.raises(SystemExit) as ending:
            main(words(run)[len(STEPPE) :])
    finally:
        torch.set_num_threads(threads)
    assert not ending.value.code
    return run


def test_torchrun_shares_a_run_out(
    words: Callable[[Path], list[str]], alone: Path, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
    status, out, err = end(start([*torchrun, "--no-python", "--nproc-per-node=2", *words(run)]))
    assert status == 0, err
    assert "done: " in out
    assert arrays(run) == arrays(alone)
    assert len(set(writers(run))) == 2
    assert (run / "summary.md").read_bytes() == (alone / "summary.md").read_bytes()
    records = json.loads((run / "provenance.json").read_text())
    assert {record["part"] for record in records} == {"part 0/2", "part 1/2"}


def test_a_slurm_array_with_a_task_twice_and_a_task_that_is_killed_and_submitted_again(
    words: Callable[[Path], list[str]], alone: Path, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    # As docs/running.md has it: the shell puts the task's number in.
    script = ["bash", "-c", f"exec {shlex.join(words(run))} --shard $SLURM_ARRAY_TASK_ID/2"]
    deadline = time.monotonic() + 120
    tasks = []
    # The one is lost at its work, the other held at it until its twin has come.
    for index, told in ((1, signal.SIGKILL), (0, signal.SIGSTOP)):
        tasks.append(start(script, SLURM_ARRAY_TASK_ID=index))
        while not (run / "working" / f"part-{index}-of-2.json").exists():
            assert time.monotonic() < deadline
            time.sleep(0.02)
        tasks[-1].send_signal(told)
    lost, first = tasks
    assert end(lost)[0] == -signal.SIGKILL
    second = end(start(script, SLURM_ARRAY_TASK_ID=0))
    first.send_signal(signal.SIGCONT)
    endings = [end(first), second]
    assert [status for status, _, _ in endings] == [0, 2], endings
    assert "another run is at work in it: process" in endings[1][2]
    status, out, err = end(start(script, SLURM_ARRAY_TASK_ID=1))
    assert status == 0, err
    assert "done: " in out
    assert arrays(run) == arrays(alone)
    assert not list((run / "working").glob("*.json"))


@pytest.mark.skipif(
    os.geteuid() == 0 and shutil.which("setpriv") is None,
    reason="to the superuser nothing is read-only, and there is no setpriv to make it so",
)
def test_a_folder_that_cannot_be_written_is_refused_and_can_be_read(
    words: Callable[[Path], list[str]], alone: Path, tmp_path: Path
) -> None:
    # Without its capabilities the superuser is bound by permissions as others are.
    bound = ["setpriv", "--bounding-set=-all", "--inh-caps=-all"] if os.geteuid() == 0 else []
    run = tmp_path / "place" / "run"
    shutil.copytree(alone, run)
    before = {path: path.stat().st_mtime_ns for path in run.rglob("*")}
    folders = [run.parent, run, *(path for path in run.rglob("*") if path.is_dir())]
    for folder in folders:
        folder.chmod(0o555)
    try:
        commands = [words(run), words(run.parent / "new")]
        commands += [[*STEPPE, name, str(run)] for name in ("show", "status", "check-run")]
        script = [*bound, sys.executable, "-c", ONE_AFTER_THE_OTHER]
        status, out, err = end(start([*script, *(json.dumps(c[len(STEPPE) :]) for c in commands)]))
        assert status == 0, err
        answers = [json.loads(line) for line in out.splitlines() if line.startswith("[")]
        assert [code for code, _ in answers] == [2, 2, 0, 0, 0], answers
        for _, told in answers[:2]:
            assert "is read-only" in told
            assert "choose another folder with --out" in told
    finally:
        for folder in folders:
            folder.chmod(0o755)
    assert {path: path.stat().st_mtime_ns for path in run.rglob("*")} == before
