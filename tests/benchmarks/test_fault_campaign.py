"""A small fault campaign: a run that is killed and damaged again and again ends as it should."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

SCRIPT = Path(__file__).resolve().parents[2] / "benchmarks" / "fault_campaign.py"


def test_a_small_campaign_is_survived(tmp_path: Path) -> None:
    report = tmp_path / "report.json"
    words = ["--quick", "--only=kills", "--only=damage", "--only=plan", "--only=saes"]
    command = [sys.executable, str(SCRIPT), *words, f"--json={report}"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        command, env=environment, capture_output=True, text=True, check=False, timeout=900
    )
    assert done.returncode == 0, done.stdout + done.stderr
    found = json.loads(report.read_text())
    assert found["failures"] == []
    assert sum(found["kills"]["kills"].values()) >= 3
    assert found["kills"]["arrays_hash"] == found["kills"]["arrays_hash_undisturbed"]
    assert found["kills"]["most_shards_of_work_lost_by_one_kill"] <= 1
    assert found["damage"]["found_and_named"] == sum(found["damage"]["damaged"].values())
