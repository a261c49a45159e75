"""Prompts that are given as texts or token ids instead of a file."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from steppe.core.errors import InputError
from steppe.subject import Prompts, Subject
from steppe.subject.prompts import check_vocabulary

GIVEN = "given in the call"


def as_prompts(prompts: Any, subject: Subject, length: int) -> Prompts:
    """Prompts from texts or token ids.

    Args:
        prompts: Texts, of which the first ``length`` tokens are taken, none added; or ids
            ``(prompt, position)``.
        subject: Gives the tokenizer and the vocabulary.
        length: Tokens per prompt.

    Raises:
        InputError: Texts without a tokenizer or too short, ids outside the vocabulary, or another
            shape.
    """
    if isinstance(prompts, Prompts):
        return prompts
    rows = list(prompts)
    if rows and isinstance(rows[0], str):
        rows = _tokenized(rows, subject, length)
    tokens = _as_ids(rows)
    if tokens.ndim != 2 or not tokens.size:
        raise InputError(
            "prompts",
            got=f"shape {tokens.shape}",
            expected="token ids (prompt, position), or texts",
            fix="give rows of equal length, made by this model's tokenizer",
        )
    check_vocabulary(tokens, GIVEN, subject)
    longest = subject.context_length
    if longest is not None and tokens.shape[1] > longest:
        raise InputError(
            "prompts",
            got=f"{tokens.shape[1]} tokens each",
            expected=f"at most {longest}, the context length of {subject.name}",
            fix="give shorter prompts",
        )
    return Prompts.of(tokens, GIVEN, len(tokens))


def _tokenized(texts: Sequence[str], subject: Subject, length: int) -> list[list[int]]:
    if subject.tokenizer is None:
        raise InputError(
            "prompts",
            got="texts, for a model without a tokenizer",
            expected="token ids (prompt, position)",
            fix="give ids, or load the model with its tokenizer",
        )
    read = partial(subject.tokenizer, add_special_tokens=False, verbose=False)
    rows = [read(text)["input_ids"] for text in texts]
    short = [place for place, row in enumerate(rows) if len(row) < length]
    if short:
        raise InputError(
            f"prompt {short[0]}",
            got=f"{len(rows[short[0]])} tokens",
            expected=f"at least {length} (prompt_length)",
            fix=f"leave out the {len(short)} short ones, or ask for a smaller prompt_length",
        )
    return [row[:length] for row in rows]


def _as_ids(rows: Sequence[Any]) -> NDArray[np.int64]:
    try:
        ids = np.asarray(rows)
    except ValueError:
        # Rows of different lengths.
        return np.empty((0, 0), dtype=np.int64)
    if ids.dtype.kind not in "iu":
        return np.empty((0, 0), dtype=np.int64)
    return np.ascontiguousarray(ids, dtype=np.int64)
