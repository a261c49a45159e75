"""A study gives back what it sets for the whole process."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
import torch

from steppe.core.errors import InputError
from steppe.execution import computing, run
from steppe.execution.process_state import process_state_kept
from steppe.execution.workers import Workers
from steppe.propagation.plan import asked_memory_budget, set_memory_budget
from steppe.store import Opening
from steppe.studies.giglemiani2024.settings import Settings


def state() -> tuple[Any, ...]:
    variables = {name: value for name, value in os.environ.items() if name.startswith("RAY_")}
    return (
        torch.get_num_threads(),
        torch.get_float32_matmul_precision(),
        asked_memory_budget(),
        Path.cwd(),
        variables,
    )


def change(tmp_path: Path) -> None:
    torch.set_num_threads(torch.get_num_threads() + 1)
    torch.set_float32_matmul_precision("medium")
    set_memory_budget(12345)
    os.environ["RAY_AUTH_MODE"] = "token"
    os.environ["RAY_ADDRESS"] = "elsewhere"
    os.chdir(tmp_path)


def test_a_study_gives_everything_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAY_ADDRESS", "here")
    before = state()

    def study(*_: Any) -> run.Outcome:
        change(tmp_path)
        return run.Outcome(0, 0, True)

    monkeypatch.setattr(computing, "_run", study)
    workers = Workers(threads=torch.get_num_threads() + 2, memory_budget=7)
    run.run_study(Settings(), Opening(tmp_path / "run"), workers)
    assert state() == before


def test_also_after_an_error(tmp_path: Path) -> None:
    before = state()
    with pytest.raises(FileNotFoundError), process_state_kept():
        change(tmp_path / "absent")
    assert state() == before


def test_a_study_that_cannot_start_leaves_no_trace(tmp_path: Path) -> None:
    before = state()
    workers = Workers(threads=torch.get_num_threads() + 2, memory_budget=7)
    with pytest.raises(InputError, match="absent"):
        run.run_study(Settings(model="/absent"), Opening(tmp_path / "run"), workers)
    assert state() == before
