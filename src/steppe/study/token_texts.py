"""The texts of a run's tokens, kept in its folder: whoever reads the run may have no tokenizer."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from steppe.reports.page.next_tokens import TOKEN
from steppe.store import open_run
from steppe.store.layout import TOKENS
from steppe.store.writing import write_atomically

# The variables of a dataset that hold prompts: its own, and those of other activations in it.
TOKEN_IDS, CORNER_TOKENS = "tokens", "corner_tokens"
# What stands for a space in front, in vocabularies whose single tokens are decoded without it.
_SPACE = "▁"
_PART_OF_A_CHARACTER = "\ufffd"


def write_token_texts(path: Path, tokenizer: Any) -> None:
    """Write the text of every token that occurs in a run's prompts, or may follow them.

    Args:
        path: The run folder.
        tokenizer: The model's; None: nothing is written.

    Raises:
        RunFailedError: The disk is full, or cannot be written.
    """
    if tokenizer is None:
        return
    run = open_run(path)
    datasets = [run.dataset(name) for name in run.datasets()]
    rows = [
        np.unique(one[name].values)
        for one in datasets
        for name in (TOKEN_IDS, CORNER_TOKENS, TOKEN)
        if name in one
    ]
    ids = sorted({int(token) for row in rows for token in row if token >= 0})
    content = json.dumps({token: text_of(token, tokenizer) for token in ids}, ensure_ascii=False)
    write_atomically(path / TOKENS, content.encode())


def read_token_texts(path: Path) -> dict[int, str]:
    """The texts that were written; none where there was no tokenizer."""
    file = path / TOKENS
    if not file.exists():
        return {}
    return {int(token): str(text) for token, text in json.loads(file.read_text("utf-8")).items()}


def text_of(token: int, tokenizer: Any) -> str:
    """One token as text, its leading space included; its name in the vocabulary if it has none."""
    text = str(tokenizer.decode([token]))
    [name] = tokenizer.convert_ids_to_tokens([token])
    if not text or _PART_OF_A_CHARACTER in text:
        return str(name)
    is_spaced = str(name).startswith(_SPACE) and not text.startswith(" ")
    return f" {text}" if is_spaced else text
