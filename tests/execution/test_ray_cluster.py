"""A cluster that was started elsewhere is joined, left in order, and never started by mistake."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from steppe.core.errors import InputError
from steppe.execution.cluster import import_ray, started
from steppe.execution.run import run_study
from steppe.execution.workers import Workers
from steppe.store import Opening, open_run
from steppe.studies.giglemiani2024.settings import Settings

pytestmark = pytest.mark.filterwarnings("ignore")
SAMPLES = 300


@pytest.fixture(autouse=True)
def no_mode_of_before(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever is chosen about tokens is forgotten after each test."""
    monkeypatch.setenv("RAY_AUTH_MODE", "")
    monkeypatch.delenv("RAY_AUTH_MODE")


@pytest.fixture
def cluster() -> Iterator[str]:
    """The address of a cluster with one CPU on this machine."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    with tempfile.TemporaryDirectory(prefix="steppe-ray-", dir="/tmp") as place:
        words = f"--head --block --num-cpus=1 --port={address.partition(':')[2]} --temp-dir={place}"
        words += " --node-ip-address=127.0.0.1 --object-store-memory=100000000"
        words += " --include-dashboard=false --disable-usage-stats"
        head = subprocess.Popen(
            [str(Path(sys.executable).with_name("ray")), "start", *words.split()],
            env={**os.environ, "RAY_worker_niceness": "0"},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            _wait_for(int(address.partition(":")[2]))
            yield address
        finally:
            head.terminate()
            head.wait(60)


def _wait_for(port: int) -> None:
    """Wait until the cluster answers; on a busy machine that takes a while."""
    deadline = time.monotonic() + 240
    while time.monotonic() < deadline:
        with contextlib.suppress(OSError):
            socket.create_connection(("127.0.0.1", port), 1.0).close()
            return
        time.sleep(0.1)


def settings(tiny_files: Any) -> Settings:
    return Settings(
        model=str(tiny_files.model), sae=str(tiny_files.sae), prompts=str(tiny_files.prompts),
        samples=SAMPLES, only=("table_1",), device="cpu",
    )  # fmt: skip


def test_a_run_on_a_cluster_is_stopped_in_one_line_and_finished_without_it(
    cluster: str, tiny_files: Any, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    asked = settings(tiny_files).model_dump(mode="json", exclude_defaults=True)
    study = tmp_path / "study.yaml"
    study.write_text(json.dumps({"study": "giglemiani2024", **asked}))
    words = ["run", str(study), "--workers=ray:1", "--threads=1", f"--out={run}"]
    driver = subprocess.Popen(
        [sys.executable, "-m", "steppe.cli", *words],
        env={**os.environ, "OMP_NUM_THREADS": "1", "RAY_ADDRESS": cluster},
        stderr=subprocess.PIPE,
        text=True,
    )
    deadline = time.monotonic() + 240
    while not list(run.glob("done/curves/[0-9]*.json")) and time.monotonic() < deadline:
        assert driver.poll() is None, driver.communicate()
        time.sleep(0.01)
    driver.send_signal(signal.SIGTERM)
    _, told = driver.communicate(timeout=120)
    assert driver.returncode == 143, told
    assert told == "steppe: told to end: the same command goes on where this one stopped\n"
    assert not list((run / "working").glob("*.json"))
    markers = [json.loads(path.read_text()) for path in sorted(run.glob("done/curves/[0-9]*.json"))]
    assert 0 < len(markers) < SAMPLES // 20
    assert driver.pid not in {marker["facts"]["pid"] for marker in markers}
    [record] = open_run(run).provenance
    assert (record["ending"], record["engine_of_workers"]) == ("interrupted", "ray")
    threads = torch.get_num_threads()
    try:
        outcome = run_study(settings(tiny_files), Opening(run), Workers("serial", None, 1))
        run_study(settings(tiny_files), Opening(tmp_path / "alone"), Workers("serial", None, 1))
    finally:
        torch.set_num_threads(threads)
    assert outcome.computed == SAMPLES // 20 - len(markers)
    found, expected = (open_run(path).curves.load() for path in (run, tmp_path / "alone"))
    assert found.identical(expected)


@pytest.mark.parametrize("address", ["nonsense", "127.0.0.1:no-number", "127.0.0.1:1"])
def test_an_address_that_is_none(monkeypatch: pytest.MonkeyPatch, address: str) -> None:
    monkeypatch.setenv("RAY_ADDRESS", address)
    with pytest.raises(InputError) as caught, started(Workers("ray"), "cpu"):
        pass
    assert caught.value.place == "RAY_ADDRESS"
    assert repr(address) in caught.value.got
    assert "ray start" in caught.value.fix


def test_a_token_that_clusters_ask_for_is_shown(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("RAY_ADDRESS", "somewhere:1")
    import_ray()
    assert "RAY_AUTH_MODE" not in os.environ
    (tmp_path / ".ray").mkdir()
    (tmp_path / ".ray" / "auth_token").write_text("secret")
    import_ray()
    assert os.environ["RAY_AUTH_MODE"] == "token"
