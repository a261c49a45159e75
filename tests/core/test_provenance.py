from __future__ import annotations

import json
import socket
from pathlib import Path

import pytest

from steppe import __version__
from steppe.core.command import command_line
from steppe.core.provenance import PACKAGES, provenance, shareable


def test_provenance_names_code_packages_machine_and_command() -> None:
    found = provenance("a call")
    assert found["steppe"] == __version__
    assert set(PACKAGES) == set(found["packages"])  # type: ignore[call-overload]
    assert {"commit", "python", "platform", "command", "started"} <= found.keys()
    json.dumps(found)


def test_the_command_is_the_call_where_there_is_no_command_line(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("sys.argv", ["ipykernel_launcher.py", "-f", "/run/user/kernel-1.json"])
    assert provenance("a call")["command"] == "a call"
    with command_line(["reproduce", "lee2024", "--out", "my run"]):
        assert provenance("a call")["command"] == "steppe reproduce lee2024 --out 'my run'"
    assert provenance("a call")["command"] == "a call"


def test_whose_machine_it_was_is_said_only_when_asked(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    home, here = tmp_path / "home", tmp_path / "work"
    here.mkdir()
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.chdir(here)
    record = {
        "command": f"steppe run {here}/a.yaml --out={here} --sae '{home}/my sae' {home}2/x",
        "model": {"source": f"{home}/model", "layers": 3, "parts": [f"{here}/x"]},
    }
    assert shareable({**provenance(""), **record}).keys() == {*provenance(""), *record}
    assert not {"host", "folder"} & provenance("").keys()
    assert shareable(record) == {
        "command": f"steppe run ./a.yaml --out=. --sae '~/my sae' {home}2/x",
        "model": {"source": "~/model", "layers": 3, "parts": ["./x"]},
    }
    monkeypatch.setenv("STEPPE_PROVENANCE", "full")
    assert shareable(record) == record
    assert provenance("")["host"] == socket.gethostname()
    assert provenance("")["folder"] == str(here)
