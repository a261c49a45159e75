"""What is printed: errors with their causes, texts that are not obeyed, on any terminal."""

from __future__ import annotations

import io
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pandas as pd
import pytest

from steppe.cli.main import Stopped
from steppe.core.errors import InputError, RunFailedError

Steppe = Callable[..., Any]


def raising(error: BaseException) -> Callable[..., None]:
    def run(*_: Any) -> None:
        try:
            raise KeyError("rope_theta")
        except KeyError as cause:
            raise error from cause

    return run


@pytest.fixture
def failing(monkeypatch: pytest.MonkeyPatch) -> None:
    error = InputError("config.json", got="a gap", expected="all keys", fix="fetch it again")
    monkeypatch.setattr("steppe.cli.studies.run_study", raising(error))


@pytest.mark.usefixtures("failing")
def test_the_cause_of_an_error_is_told_in_a_line(steppe: Steppe) -> None:
    told = steppe("reproduce", "lee2024")
    assert told.status == 2
    assert "cause:    KeyError: 'rope_theta' (--traceback shows where)" in told.err
    assert "Traceback" not in told.err


@pytest.mark.usefixtures("failing")
@pytest.mark.parametrize("way", ["flag before", "flag after", "environment"])
def test_the_traceback_of_any_error_is_shown_when_asked(
    steppe: Steppe, way: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = ["reproduce", "lee2024"]
    if way == "environment":
        monkeypatch.setenv("STEPPE_TRACEBACK", "1")
    else:
        words.insert(0 if way == "flag before" else len(words), "--traceback")
    told = steppe(*words)
    assert told.status == 2
    assert 'raise KeyError("rope_theta")' in told.err
    assert "direct cause" in told.err
    assert told.err.rstrip().endswith("cause:    KeyError: 'rope_theta'")


def test_a_refusal_of_the_operating_system_has_its_traceback_too(
    steppe: Steppe, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("steppe.cli.studies.run_study", raising(OSError(5, "Input/output error")))
    assert "raise error from cause" in steppe("reproduce", "lee2024", "--traceback").err


@pytest.mark.parametrize(
    ("command", "target", "said"),
    [
        (["reproduce", "lee2024"], "studies.run_study", "goes on where this one stopped"),
        (
            ["reproduce", "lee2024", "--overwrite"],
            "studies.run_study",
            "leave out --overwrite to go on",
        ),
        (["check", "demo"], "check.load", "the same command begins anew"),
        (["fetch", "smollm2"], "fetch.load", "goes on where this one stopped"),
    ],
)
def test_a_command_that_was_ended_says_what_is_true_of_it(
    steppe: Steppe, monkeypatch: pytest.MonkeyPatch, command: list[str], target: str, said: str
) -> None:
    def end(*_: Any) -> None:
        raise Stopped(signal.SIGTERM)

    monkeypatch.setattr(f"steppe.cli.{target}", end)
    told = steppe(*command)
    assert told.status == 143
    assert "steppe: told to end: " in told.err
    assert said in told.err
    assert ("the same command goes on" in told.err) == ("goes on" in said)


class _SignalledAsItIsNamed:
    """Python makes another error of what is raised then."""

    def __set_name__(self, owner: type, name: str) -> None:
        os.kill(os.getpid(), signal.SIGTERM)


class _SignalledAsItGoes:
    """Python drops what is raised then."""

    def __del__(self) -> None:
        os.kill(os.getpid(), signal.SIGTERM)


def _as_a_class_is_built() -> None:
    type("Lazy", (), {"name": _SignalledAsItIsNamed()})


def _and_is_told_as_damage() -> None:
    try:
        _as_a_class_is_built()
    except RuntimeError:
        raise RunFailedError("x", got="", expected="", fix="") from None


def _as_an_object_goes() -> None:
    _SignalledAsItGoes()
    for _ in range(200):
        time.sleep(0.05)


@pytest.mark.parametrize(
    "arriving", [_as_a_class_is_built, _and_is_told_as_damage, _as_an_object_goes]
)
def test_a_signal_ends_the_command_wherever_it_arrives(
    steppe: Steppe, monkeypatch: pytest.MonkeyPatch, arriving: Callable[[], None]
) -> None:
    monkeypatch.setattr("steppe.cli.studies.run_study", lambda *_: arriving())
    told = steppe("reproduce", "lee2024")
    assert told.status == 143
    assert told.err.startswith("steppe: told to end: ")


@pytest.mark.parametrize(
    "error", [RunFailedError("x", got="", expected="", fix="again"), OSError()]
)
def test_a_failed_run_that_overwrites_is_not_to_be_given_again(
    steppe: Steppe, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    monkeypatch.setattr("steppe.cli.studies.run_study", raising(error))
    assert "overwrite" not in steppe("reproduce", "lee2024").err
    assert "leave out --overwrite" in steppe("reproduce", "lee2024", "--overwrite").err


@pytest.mark.parametrize("before", [None, "module://of_a_notebook"])
def test_what_is_set_for_the_process_is_given_back(
    steppe: Steppe, monkeypatch: pytest.MonkeyPatch, before: str | None
) -> None:
    if before is None:
        monkeypatch.delenv("MPLBACKEND", raising=False)
    else:
        monkeypatch.setenv("MPLBACKEND", before)
    stream = io.TextIOWrapper(io.BytesIO(), encoding="latin-1", errors="strict")
    seen: list[object] = []
    monkeypatch.setattr(
        "steppe.cli.studies.run_study",
        lambda *_: seen.append((os.environ["MPLBACKEND"], stream.errors)),
    )
    monkeypatch.setattr("sys.stdout", stream)
    steppe("reproduce", "lee2024")
    assert seen == [("agg", "backslashreplace")]
    assert os.environ.get("MPLBACKEND") == before
    assert stream.errors == "strict"


def test_show_prints_no_control_characters(steppe: Steppe, monkeypatch: Any) -> None:
    run = SimpleNamespace(
        tables={"t": pd.DataFrame({"kind": ["\x1b]0;owned\x07\u202e–"]})},
        provenance=[{"command": "steppe \x1b[2J"}],
    )
    monkeypatch.setattr("steppe.store.open_run", lambda _: run)
    shown = steppe("show", "run", "--all").out + steppe("show", "run", "--provenance").out
    assert r"\x1b]0;owned\x07\u202e–" in shown
    assert r"steppe \x1b[2J" in shown
    assert not {"\x1b", "\x07", "\u202e"} & set(shown)


def test_names_with_blanks_are_quoted_in_commands(
    steppe: Steppe, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    done = type("Outcome", (), {"reported": True, "left": 0})
    monkeypatch.setattr("steppe.execution.run.run_study", lambda *_: done)
    shown = steppe("reproduce", "lee2024", "--out", tmp_path / "my run").out
    assert f"steppe show '{tmp_path / 'my run'}'" in shown


def test_a_notebooks_backend_and_a_narrow_encoding_do_no_harm(tmp_path: Path) -> None:
    (tmp_path / "run" / "tables").mkdir(parents=True)
    (tmp_path / "run" / "config.yaml").write_text("format: 2\nasked: {}\nresolved: {}\n")
    (tmp_path / "run" / "tables" / "t.csv").write_text("kind,mean\n文,\n", encoding="utf-8")
    surroundings = {
        "MPLBACKEND": "module://a_notebook_that_is_not_here.backend_inline",
        "PYTHONIOENCODING": "latin-1",
    }
    finished = subprocess.run(
        [sys.executable, "-m", "steppe.cli", "show", str(tmp_path / "run"), "--all"],
        capture_output=True, check=False, env={**os.environ, **surroundings},
    )  # fmt: skip
    assert finished.returncode == 0, finished.stderr
    assert rb"\u6587" in finished.stdout
    assert rb"\u2013" in finished.stdout
