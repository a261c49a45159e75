"""A study takes prompts as its settings say, and records what it took."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from steppe import load_model, load_sae
from steppe.core.errors import InputError
from steppe.models import Model, load_prompts
from steppe.sae import Sae
from steppe.settings.configuration import settings_of
from steppe.settings.study_settings import PAPER_PROMPTS
from steppe.store import Run
from steppe.studies.giglemiani2024.settings import Settings
from steppe.study.prompt_facts import prompt_facts
from steppe.study.study_prompts import take_prompts


@pytest.fixture(scope="module")
def model(tiny_files: Any) -> Model:
    return load_model(tiny_files.model, device="cpu")


@pytest.fixture(scope="module")
def sae(tiny_files: Any) -> Sae:
    return load_sae(tiny_files.sae, device="cpu")


def trained_with_bos(sae: Sae, said: bool | None) -> Sae:
    return replace(sae, config=replace(sae.config, prepend_bos=said))


def settings(path: Path, **asked: Any) -> Settings:
    return Settings(prompts=str(path), samples=2, prompt_length=3, **asked)


def write_rows(path: Path, *rows: Any) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def test_only_rows_that_lack_bos_get_it(
    model: Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = [[0, 1, 2, 3]] * 5 + [[7, 8, 9, 10]]
    path = write_rows(tmp_path / "a.jsonl", *({"input_ids": row} for row in rows))
    monkeypatch.setattr(Settings, "BOS_WHERE_THERE_IS_ONE", True)
    taken = take_prompts(settings(path), model, [])
    expected = np.array([[0, 1, 2]] * 5 + [[0, 7, 8]])
    np.testing.assert_array_equal(taken.prompts.tokens, expected)
    # The checksum is that of the tokens that are run.
    digest = hashlib.sha256(repr(expected.shape).encode() + expected.tobytes()).hexdigest()
    assert taken.prompts.sha256 == digest


@pytest.mark.parametrize(
    ("asked", "said", "expected"),
    [("auto", True, 0), ("auto", False, 1), ("auto", None, 1), ("yes", False, 0), ("no", True, 1)],
)
def test_bos_of_a_study(
    model: Model, sae: Sae, tmp_path: Path, asked: Any, said: bool | None, expected: int
) -> None:
    path = write_rows(tmp_path / "a.jsonl", {"input_ids": [1, 2, 3]}, {"input_ids": [1, 5, 6]})
    taken = take_prompts(settings(path, bos=asked), model, [trained_with_bos(sae, said)])
    assert taken.prompts.tokens[:, 0].tolist() == [expected, expected]
    assert taken.bos.is_added is (expected == 0)


def test_the_papers_prompts_are_read_as_they_are(
    model: Model, sae: Sae, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_rows(tmp_path / "a.jsonl", {"input_ids": [1, 2, 3]})
    monkeypatch.setattr(
        "steppe.study.study_prompts.load_prompts",
        lambda source, model, **options: load_prompts(path, model, **options),
    )
    asked = Settings(prompts=PAPER_PROMPTS, samples=2, prompt_length=3)
    taken = take_prompts(asked, model, [trained_with_bos(sae, True)])
    assert taken.prompts.tokens.tolist() == [[1, 2, 3]]


def test_bad_rows_and_columns_of_a_study(model: Model, sae: Sae, tmp_path: Path) -> None:
    rows = [{"mine": [1, 2, number % 60]} for number in range(120)]
    path = write_rows(tmp_path / "a.jsonl", *rows, {"mine": None})
    taken = take_prompts(settings(path, column="mine", bos="no"), model, [sae])
    assert taken.identity()["skipped_rows"] == 1
    assert taken.identity()["rows"] == 121
    assert taken.identity()["equal_share"] == 0.5
    with pytest.raises(InputError, match="mine = None"):
        take_prompts(settings(path, column="mine", strict=True), model, [sae])


def test_what_a_summary_says(model: Model, sae: Sae, tmp_path: Path) -> None:
    rows = [{"input_ids": [1, 2, 3]}] * 3 + [{"input_ids": [1]}]
    path = write_rows(tmp_path / "a.jsonl", *rows)
    asked = settings(path, max_bad_rows=0.5)
    taken = take_prompts(asked, model, [trained_with_bos(sae, True)])
    resolved = asked.model_dump() | {"bos": "yes", "prompts_identity": taken.identity()}
    told = prompt_facts(Run(tmp_path, {"resolved": resolved}))
    assert "66.67% of them equal to an earlier one" in str(told["prompts"])
    assert told["BOS"] == "in front of each prompt (as the SAE was trained)"
    assert str(told["rows skipped"]).startswith("1 of 4 (25.00%)")


def test_what_a_run_did_not_record_is_said_to_be_so(tmp_path: Path) -> None:
    older = {"prompts": "a.jsonl", "prompt_length": 10, "prompts_identity": {"sha256": "ab" * 32}}
    told = prompt_facts(Run(tmp_path, {"resolved": older}))
    assert str(told["prompts"]).startswith("a.jsonl, 10 tokens (")
    assert "the first not recorded of the source" in str(told["prompts"])
    assert told["BOS"] == "not recorded (not recorded)"
    assert "not recorded" in str(prompt_facts(Run(tmp_path, {"resolved": {}}))["prompts"])


def test_more_samples_than_prompts_that_are_taken() -> None:
    with pytest.raises(InputError, match="at least 41000") as caught:
        settings_of({"study": "giglemiani2024", "samples": 41_000}, "the command line")
    assert "max_prompts" in str(caught.value)
    asked = {"study": "giglemiani2024", "samples": 625_000, "max_prompts": 700_000}
    assert settings_of(asked, "the command line").max_prompts == 700_000
