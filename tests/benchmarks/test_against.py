"""A commit against the working tree: ratios with intervals, and the worktree is removed."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import ttest_1samp

from benchmarks import against

KEY = ("ways", "fast engine", "l2")


def test_a_ratio_is_above_1_where_the_working_tree_is_faster() -> None:
    noise = np.random.default_rng(0).normal(0, 0.05, size=(2, 9))
    commit = [{KEY: 2.0 * np.exp(x)} for x in noise[0]]
    tree = [{KEY: 1.0 * np.exp(x), ("new", "", ""): 1.0} for x in noise[1]]
    (found,) = against.ratios(commit, tree)
    logs = noise[0] - noise[1]
    assert found.ratio == pytest.approx(2 * np.exp(logs.mean()))
    expected = ttest_1samp(logs, 0).confidence_interval(0.95)
    assert np.log([found.low, found.high]) - np.log(2) == pytest.approx([*expected])
    assert str(found).endswith("!")


def test_intervals_of_equal_trees_hold_1_in_95_of_100_runs() -> None:
    random = np.random.default_rng(1)
    held = 0
    for _ in range(1000):
        times = np.exp(random.normal(0, 0.1, size=(2, 5)))
        (found,) = against.ratios([{KEY: x} for x in times[0]], [{KEY: x} for x in times[1]])
        held += found.low <= 1 <= found.high
    assert 930 <= held <= 970


def test_both_trees_take_turns_and_the_commits_is_removed(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    git = ["git", "-C", str(tmp_path), "-c", "user.name=a", "-c", "user.email=a@b"]
    subprocess.run([*git, "init", "--quiet"], check=True)
    (tmp_path / "here.txt").write_text("committed")
    subprocess.run([*git, "add", "."], check=True)
    subprocess.run([*git, "commit", "--quiet", "-m", "first"], check=True)
    (tmp_path / "here.txt").write_text("changed since")
    monkeypatch.setattr(against, "HERE", tmp_path)
    seen: list[str] = []

    def measured(root: Path, words: Sequence[str]) -> against.Seconds:
        assert words == ["--part", "growth"]
        seen.append((root / "here.txt").read_text())
        return {KEY: 3.0 if seen[-1] == "committed" else 1.5}

    monkeypatch.setattr(against, "measured", measured)
    against.main(["HEAD", "--rounds", "3", "--json", "--part", "growth"])
    (found,) = json.loads(capsys.readouterr().out)
    assert found["ratio"] == pytest.approx(2)
    before, after = "committed", "changed since"
    assert seen == [before, after, after, before, before, after]
    listed = subprocess.run([*git, "worktree", "list"], check=True, capture_output=True, text=True)
    assert len(listed.stdout.splitlines()) == 1
