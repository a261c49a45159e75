"""A table of several runs is one, with what the runs differ in as columns."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pandas as pd
import pytest

import steppe
from steppe.core.errors import InputError

STATED: dict[str, Any] = {"study": "giglemiani2024", "model": "tiny", "seed": 0}


@pytest.fixture
def runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two runs at two layers: their configurations and one table each."""
    found = []
    for layer in (3, 1):
        rows = [{"kind": kind, "mode": mode, "n": 5, "ks": layer / 10 + (mode == "relative")}
                for kind in ("real", "random") for mode in ("absolute", "relative")]  # fmt: skip
        resolved = {**STATED, "site": f"blocks.{layer}.hook_resid_pre"}
        table = pd.DataFrame(rows)
        found.append(
            SimpleNamespace(config={"resolved": resolved}, table=lambda _name, table=table: table)
        )
    monkeypatch.setattr("steppe.execution.along.several_runs", lambda _paths: found)
    return tmp_path


def test_tables_are_joined_with_layers(runs: Path) -> None:
    table = steppe.open_tables(runs / "*", "table_a1")
    assert list(table.columns[:3]) == ["layer", "site", "kind"]
    assert table.groupby("layer")["ks"].min().to_dict() == {1: 0.1, 3: 0.3}
    assert len(table) == 8


def test_rows_are_chosen_written_and_drawn(runs: Path) -> None:
    files = steppe.along(
        runs / "*", steppe.Lines("table_a1", ["ks"], where={"mode": "absolute"}), out=runs
    )
    assert {path.name for path in files} == {
        f"table_a1_by_layer.{ending}" for ending in ("csv", "md", "tex", "pdf", "png", "txt")
    }
    written = pd.read_csv(runs / "table_a1_by_layer.csv")
    assert sorted(written["ks"]) == [0.1, 0.1, 0.3, 0.3]
    assert "of 2 runs. n = 5. Model: tiny." in (runs / "table_a1_by_layer.txt").read_text()
    [*_, text] = steppe.along(
        runs / "*", steppe.Lines("table_a1", ["ks"], where={"mode": "absolute", "n": "5.0,7"}),
        out=runs / "numbers",
    )  # fmt: skip
    assert "n: 5.0,7" in text.with_suffix(".txt").read_text()
    lines = steppe.Lines("table_a1", ["ks"], panels="mode")
    *_, text = steppe.along(runs / "*", lines, out=runs / "panels")
    assert "a panel per mode. Table table_a1 of 2 runs." in text.with_suffix(".txt").read_text()
    with pytest.raises(InputError, match="rows where n is five"):
        steppe.along(runs / "*", steppe.Lines("table_a1", ["ks"], where={"n": "five"}), out=runs)
    with pytest.raises(InputError, match="rows where mode is slow"):
        steppe.along(runs / "*", steppe.Lines("table_a1", ["ks"], where={"mode": "slow"}), out=runs)
