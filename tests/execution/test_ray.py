"""Two Ray workers: the same bits as this process alone, also when one of them is lost."""

from __future__ import annotations

import json
import os
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from steppe.core.errors import InputError
from steppe.execution.cluster import Crew, _crew
from steppe.execution.run import run_study
from steppe.execution.workers import Workers
from steppe.store import Opening, open_run
from steppe.studies.giglemiani2024.settings import Settings

pytestmark = pytest.mark.filterwarnings("ignore")
SAMPLES = 120


@pytest.fixture(autouse=True)
def threads() -> Iterator[None]:
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


def settings(tiny_files: Any) -> Settings:
    return Settings(
        model=str(tiny_files.model),
        sae=str(tiny_files.sae),
        prompts=str(tiny_files.prompts),
        samples=SAMPLES,
        only=("table_1",),
        device="cpu",
    )


def writers(run: Path) -> set[int]:
    """The processes that stored shards."""
    manifests = [json.loads(path.read_text()) for path in run.glob("done/curves/[0-9]*.json")]
    return {manifest["facts"]["pid"] for manifest in manifests}


def kill_a_worker(run: Path, stop: threading.Event) -> None:
    """Kill the worker that stored the first shard."""
    while not stop.is_set():
        for pid in writers(run):
            os.kill(pid, signal.SIGKILL)
            return
        time.sleep(0.005)


def test_a_lost_worker_costs_nothing_and_changes_no_bit(tiny_files: Any, tmp_path: Path) -> None:
    stop = threading.Event()
    killer = threading.Thread(target=kill_a_worker, args=(tmp_path / "ray", stop))
    killer.start()
    try:
        outcome = run_study(settings(tiny_files), Opening(tmp_path / "ray"), Workers("ray", 2, 1))
    finally:
        stop.set()
        killer.join()
    assert outcome.reported
    run_study(settings(tiny_files), Opening(tmp_path / "serial"), Workers("serial", None, 1))
    found, expected = (open_run(tmp_path / name).curves for name in ("ray", "serial"))
    for name in expected.data_vars:
        np.testing.assert_array_equal(found[name].values, expected[name].values)
    assert (tmp_path / "ray" / "summary.md").exists()
    assert os.getpid() not in writers(tmp_path / "ray")
    [record] = open_run(tmp_path / "ray").provenance
    assert (record["engine_of_workers"], record["workers"]) == ("ray", 2)


@pytest.mark.parametrize(
    ("resources", "workers", "device", "crew"),
    [
        ({"CPU": 16.0, "GPU": 4.0}, Workers("ray"), "auto", Crew(4, 4, 1)),
        ({"CPU": 16.0, "GPU": 4.0}, Workers("ray", 2), "cuda", Crew(2, 8, 1)),
        ({"CPU": 16.0, "GPU": 4.0}, Workers("ray", 8), "cpu", Crew(8, 2, 0)),
        ({"CPU": 16.0}, Workers("ray"), "auto", Crew(4, 4, 0)),
        ({"CPU": 2.0}, Workers("ray", 2, 1), "cpu", Crew(2, 1, 0)),
        ({"CPU": 2.0}, Workers("ray", 5, 1), "cpu", Crew(2, 1, 0)),
    ],
)
def test_how_many_workers_on_what(
    resources: dict[str, float], workers: Workers, device: str, crew: Crew
) -> None:
    assert _crew(resources, workers, device) == crew


def test_a_cluster_without_room_is_refused_early() -> None:
    with pytest.raises(InputError, match="room for one worker of 8 CPU threads"):
        _crew({"CPU": 2.0}, Workers("ray", 1, 8), "cpu")
    with pytest.raises(InputError, match="and a GPU"):
        _crew({"CPU": 2.0}, Workers("ray"), "cuda")
