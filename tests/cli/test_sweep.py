"""What `steppe sweep` makes of its words, and what it says to those that mean nothing."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

Steppe = Callable[..., Any]
STUDY = "giglemiani2024"


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What a sweep is asked for."""
    found: dict[str, Any] = {}

    def keep(study: str, grid: dict[str, Any], *, out: Path, **settings: Any) -> Any:
        found.update(study=study, grid=grid, out=out, settings=settings)
        return SimpleNamespace(runs=(), failed={})

    monkeypatch.setattr("steppe.execution.sweep.sweep", keep)
    return found


def test_values_are_read_as_the_options_of_their_names_are(
    steppe: Steppe, asked: dict[str, Any], tmp_path: Path
) -> None:
    words = (
        "--grid seed=0,1 --grid layer=1,last --grid model=gpt2,a/b "
        "--grid kinds=[real,random],real "
        "--setting bos=no --setting step-size=1e-3 --setting kinds=real,random --setting sae=010 "
        "--setting tf32=yes --setting workers=ray:2"
    )
    assert steppe("sweep", STUDY, "--out", tmp_path, *words.split()).status == 0
    assert asked["grid"] == {
        "seed": [0, 1], "layer": [1, "last"], "model": ["gpt2", "a/b"],
        "kinds": [["real", "random"], ["real"]],
    }  # fmt: skip
    assert asked["settings"] == {
        "bos": "no", "step_size": 0.001, "kinds": ["real", "random"], "sae": "010", "tf32": "yes",
        "workers": "ray:2",
    }  # fmt: skip


@pytest.mark.parametrize("key", ["out", "study", "grid", "overwrite", "smaples"])
@pytest.mark.parametrize("option", ["--setting", "--grid"])
def test_words_that_are_no_settings_are_named(
    steppe: Steppe, asked: dict[str, Any], tmp_path: Path, option: str, key: str
) -> None:
    told = steppe("sweep", STUDY, "--out", tmp_path, "--grid", "seed=0", option, f"{key}=1")
    assert told.status == 2
    assert told.err.startswith(f"steppe: {option} {key}=1\n  got:      '{key}'")
    assert not asked


@pytest.mark.parametrize("text", ["[", "{", "a: b", "%x", "2024-13-45", "&a *b", "]", "!!int x"])
def test_what_is_no_value_is_told_without_a_traceback(
    steppe: Steppe, tmp_path: Path, text: str
) -> None:
    told = steppe("sweep", STUDY, "--out", tmp_path, "--grid", f"samples={text}")
    assert told.status == 1
    assert "samples" in told.err
    assert "Traceback" not in told.err
    assert f"samples: '{text}'" in told.err


def test_numbers_along_an_axis_are_asked_for(
    steppe: Steppe, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    found: list[Any] = []

    def keep(runs: list[Path], lines: Any, *, out: Path) -> list[Path]:
        found.extend([runs, lines, out])
        return [out / "a.csv"]

    monkeypatch.setattr("steppe.execution.along.along", keep)
    words = "--table table_1 --value ks --value mean --axis seed --where kind=real,random"
    assert steppe("along", tmp_path, *words.split(), "--out", tmp_path / "o").status == 0
    runs, lines, out = found
    assert (runs, out) == ([tmp_path], tmp_path / "o")
    assert (lines.table, lines.values, lines.axis) == ("table_1", ["ks", "mean"], "seed")
    assert (lines.series, lines.where) == ("kind", {"kind": "real,random"})
    wrong = steppe("along", tmp_path, *words.replace("kind=", "kind").split(), "--out", tmp_path)
    assert "--where" in wrong.err
    assert "for instance kind=real,random" in wrong.err
