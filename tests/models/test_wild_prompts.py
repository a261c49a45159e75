"""Prompt texts of every kind are only ever tokens; a tokenizer that does not fit is told."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from steppe.core.errors import InputError
from steppe.models import Model, load_model, load_prompts


@pytest.mark.parametrize(
    "text",
    [
        "<script>alert('w03')</script> <b>w04</b> &amp; {{ w05 }} $w06$",
        "w03 \x00 \x07 \x1b[2J w04 \u202e w05 \ufeff w06 \ud7ff",
        "w03 " * 25_000,
        "w03" * 33_334,
    ],
    ids=["html", "control", "many words", "one word"],
)
@pytest.mark.parametrize("ending", ["txt", "jsonl"])
def test_wild_texts_are_cut_into_prompts(
    model: Model, tmp_path: Path, text: str, ending: str
) -> None:
    path = tmp_path / f"wild.{ending}"
    path.write_text(text if ending == "txt" else json.dumps({"text": text}), encoding="utf-8")
    prompts = load_prompts(path, model, length=1)
    assert prompts.tokens.shape[1] == 1
    assert ((prompts.tokens >= 0) & (prompts.tokens < model.d_vocab)).all()


def test_a_tokenizer_that_knows_more_tokens_than_the_model(
    make_gpt2: Callable[..., Any], tokenizer: Any, tmp_path: Path
) -> None:
    make_gpt2(vocab_size=10).save_pretrained(tmp_path / "model")
    tokenizer.save_pretrained(tmp_path / "model")
    text = tmp_path / "text.txt"
    text.write_text("w03 w39 w05")
    with pytest.raises(InputError) as caught:
        load_prompts(text, load_model(tmp_path / "model"), length=1)
    assert "token id 39" in caught.value.got
    assert "own tokenizer" in caught.value.fix


def test_a_folder_of_everything_is_not_searched(
    model: Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("steppe.models.documents._MOST_FILES", 3)
    for index in range(4):
        (tmp_path / str(index)).touch()
    with pytest.raises(InputError, match="a folder with more than 3 files below it"):
        load_prompts(tmp_path, model, length=1, count=1)
