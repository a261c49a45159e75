"""Every setting of a study is an option; `run` and `reproduce` are one command."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from steppe.settings.catalogue import STUDIES
from steppe.settings.explaining import explain

Steppe = Callable[..., Any]


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What a command asks for, taken before anything is loaded."""
    found: dict[str, Any] = {}

    def keep(request: dict[str, Any], place: str, how: Any) -> None:
        found.update(request, place=place, how=how)

    monkeypatch.setattr("steppe.cli.studies.run_study", keep)
    return found


@pytest.mark.parametrize("study", STUDIES)
def test_the_help_of_a_study_shows_each_of_its_settings(
    steppe: Steppe, study: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    shown = steppe("reproduce", study, "--help").out
    for setting in explain(study):
        assert f"{setting.option} " in shown


def test_values_are_read_as_their_settings_have_them(steppe: Steppe, asked: dict[str, Any]) -> None:
    words = (
        "--samples 12 --kinds real,random --kinds isotropic --only table_1 --step-size 0.25 --tf32 "
        "--sae 123 --read resid_post:2 --out here --threads 2"
    )
    assert steppe("reproduce", "giglemiani2024", *words.split()).status == 0
    how = asked.pop("how")
    assert (how.out, how.threads, how.workers) == (Path("here"), 2, "serial")
    assert asked == {
        "study": "giglemiani2024", "place": "the command line", "samples": 12,
        "kinds": ["real", "random", "isotropic"], "only": ["table_1"], "step_size": 0.25,
        "tf32": True, "sae": "123", "read": "resid_post:2",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("text", "value"), [("coarse", "coarse"), ("1,11,51.5", [1, 11, 51.5]), ("7", [7])]
)
def test_a_setting_takes_a_name_or_numbers(
    steppe: Steppe, asked: dict[str, Any], text: str, value: object
) -> None:
    steppe("reproduce", "lee2024", "--lengths", text)
    assert asked["lengths"] == value


def test_a_path_with_commas_is_one_value(
    steppe: Steppe, asked: dict[str, Any], tmp_path: Path
) -> None:
    (tmp_path / "a,b").mkdir()
    steppe("reproduce", "lee2024", "--saes", tmp_path / "a,b", "--saes", "c,d")
    assert asked["saes"] == [str(tmp_path / "a,b"), "c", "d"]


def test_options_rule_over_the_file(steppe: Steppe, asked: dict[str, Any], tmp_path: Path) -> None:
    study = tmp_path / "study.yaml"
    study.write_text("study: lee2024\nsamples: 20\nseed: 3\n")
    assert steppe("run", study, "--samples", "40", "--positions=last").status == 0
    assert (asked["samples"], asked["seed"], asked["positions"]) == (40, 3, "last")
    assert asked["place"] == f"config {study}"


@pytest.mark.parametrize(
    ("words", "texts"),
    [
        (["prompt-length=20"], ["'prompt-length=20'", "--prompt-length 20"]),
        (["prompt_length", "=", "20"], ["'prompt_length'", "--prompt-length VALUE"]),
        (["--prompt-lenght", "20"], ["No such option: --prompt-lenght", "--prompt-length"]),
        (["--threshold", "inf"], ["threshold: inf", "finite"]),
        (["--step-size", "inf"], ["step_size: inf", "finite"]),
        (["--samples", "many"], ["samples: 'many'", "steppe explain giglemiani2024"]),
    ],
    ids=lambda value: " ".join(value),
)
def test_a_setting_given_wrongly_is_told_how_to_give_it(
    steppe: Steppe, words: list[str], texts: list[str], tmp_path: Path
) -> None:
    told = steppe("reproduce", "giglemiani2024", *words, "--out", tmp_path / "run")
    assert told.status == 2
    for text in texts:
        assert text in told.err
    assert not (tmp_path / "run").exists()


def test_explain_lists_settings_in_words_and_as_json(steppe: Steppe) -> None:
    shown = steppe("explain", "giglemiani2024")
    assert shown.status == 0
    listed = json.loads(steppe("explain", "giglemiani2024", "--json").out)
    assert {entry["name"] for entry in listed} == {s.name for s in explain("giglemiani2024")}
    for entry in listed:
        assert f"  {entry['name']}\n" in shown.out
    assert "'giglemiani2042'" in steppe("explain", "giglemiani2042").err


def test_a_run_is_explained_and_not_run(steppe: Steppe, tiny_files: Any, tmp_path: Path) -> None:
    out = tmp_path / "run"
    words = ["reproduce", "janiak2024", "--model", str(tiny_files.model), "--prompts"]
    words += [str(tiny_files.prompts), "--out", str(out), "--explain"]
    assert "interpolations" in steppe(*words).out
    assert json.loads(steppe(*words, "--json").out)["parts"][0]["name"] == "interpolations"
    assert not out.exists()
