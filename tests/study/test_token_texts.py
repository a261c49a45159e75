"""Texts of tokens, with their leading space, from vocabularies of both kinds."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import xarray as xr

from steppe.models import load_model
from steppe.study.token_texts import read_token_texts, text_of, write_token_texts


def test_texts_of_a_byte_level_vocabulary_join_to_the_prompt() -> None:
    tokenizer = load_model("demo", device="cpu").tokenizer
    assert tokenizer is not None
    ids = tokenizer(" the old man said nothing.", add_special_tokens=False)["input_ids"]
    assert "".join(text_of(one, tokenizer) for one in ids) == " the old man said nothing."


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [("▁the", "the", " the"), ("the", "the", "the"), ("<0xE2>", "\ufffd", "<0xE2>"),
     ("<s>", "", "<s>"), ("▁", " ", " ")],
)  # fmt: skip
def test_texts_of_other_vocabularies(name: str, text: str, expected: str) -> None:
    tokenizer: Any = SimpleNamespace(
        decode=lambda _ids: text, convert_ids_to_tokens=lambda _ids: [name]
    )
    assert text_of(5, tokenizer) == expected


def test_without_a_tokenizer_there_are_none(tmp_path: Path) -> None:
    write_token_texts(tmp_path, None)
    assert read_token_texts(tmp_path) == {}


def test_prompts_of_corners_have_texts_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    planes = xr.Dataset(
        {
            "tokens": ("position", [3, 4]),
            "corner_tokens": (("corner", "position"), [[7, 8], [-1] * 2]),
        }
    )
    run = SimpleNamespace(datasets=lambda: ["planes"], dataset=lambda _name: planes)
    monkeypatch.setattr("steppe.study.token_texts.open_run", lambda _path: run)
    tokenizer = SimpleNamespace(
        decode=lambda ids: f"t{ids[0]}", convert_ids_to_tokens=lambda ids: [f"t{ids[0]}"]
    )
    write_token_texts(tmp_path, tokenizer)
    assert read_token_texts(tmp_path) == {3: "t3", 4: "t4", 7: "t7", 8: "t8"}
