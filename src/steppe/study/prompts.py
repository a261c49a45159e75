"""Prompts that are given as texts or token ids instead of a file."""

from __future__ import annotations

import reprlib
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from steppe.core.errors import InputError
from steppe.models import Model, Prompts
from steppe.models.prompts import check_vocabulary, padding_token
from steppe.models.rows import MASK

GIVEN = "given in the call"
IDS = "input_ids"


def as_prompts(prompts: Any, model: Model, length: int) -> Prompts:
    """Prompts from texts or token ids.

    Args:
        prompts: Texts, of which the first ``length`` tokens are taken, none added; or ids
            ``(prompt, position)``, also as a tokenizer returns them (``input_ids`` and
            ``attention_mask``).
        model: Gives the tokenizer and the vocabulary.
        length: Tokens per prompt.

    Raises:
        InputError: Texts without a tokenizer or too short, ids outside the vocabulary, padding, or
            another shape.
    """
    if isinstance(prompts, Prompts):
        return prompts
    rows = _rows(prompts)
    if rows and isinstance(rows[0], str):
        rows = _tokenized(rows, model, length)
    tokens = _as_ids(rows)
    if tokens.ndim != 2 or not tokens.size:
        raise _no_prompts(f"shape {tokens.shape}")
    check_vocabulary(tokens, GIVEN, model)
    if not (isinstance(prompts, Mapping) and MASK in prompts):
        padding = padding_token(model)
        _refuse_padding((tokens[:, [0, -1]] == padding).any(axis=1), f"token {padding}, padding")
    longest = model.context_length
    if longest is not None and tokens.shape[1] > longest:
        raise InputError(
            "prompts",
            got=f"{tokens.shape[1]} tokens each",
            expected=f"at most {longest}, the context length of {model.name}",
            fix="give shorter prompts",
        )
    return Prompts.of(tokens, GIVEN, len(tokens))


def width_of(prompts: Any) -> int:
    """Tokens of each prompt where ids of one length are given; else 0."""
    rows = prompts.tokens if isinstance(prompts, Prompts) else prompts
    if isinstance(rows, Mapping):
        rows = rows.get(IDS, ())
    try:
        shape = np.shape(rows)
    except ValueError:
        return 0
    return int(shape[1]) if len(shape) == 2 else 0


def _rows(prompts: Any) -> list[Any]:
    """Texts, or rows of ids; of what a tokenizer returns the ids, none of which may be padding."""
    if isinstance(prompts, Mapping):
        if IDS not in prompts:
            raise _no_prompts(f"the keys {list(prompts)}")
        marks = prompts.get(MASK)
        if marks is not None:
            absent = [not np.all(row) for row in _rows(marks)]
            _refuse_padding(np.array(absent), f"{MASK} with zeros: padding")
        prompts = prompts[IDS]
    if isinstance(prompts, torch.Tensor):
        prompts = prompts.cpu().numpy()
    try:
        return list(prompts)
    except TypeError:
        raise _no_prompts(f"{type(prompts).__name__}: {reprlib.repr(prompts)}") from None


def _refuse_padding(padded: NDArray[np.bool_], got: str) -> None:
    places = np.flatnonzero(padded)
    if len(places):
        raise InputError(
            f"prompt {places[0]}",
            got=f"{got}; so in {len(places)} of {len(padded)} prompts",
            expected="prompts of one length without padding",
            fix="cut all to one length (truncation=True, max_length=...), or leave out short ones",
        )


def _no_prompts(got: str) -> InputError:
    return InputError(
        "prompts",
        got=got,
        expected="token ids (prompt, position), or texts",
        fix="give rows of equal length, made by this model's tokenizer",
    )


def _tokenized(texts: Sequence[str], model: Model, length: int) -> list[list[int]]:
    if model.tokenizer is None:
        raise InputError(
            "prompts",
            got="texts, for a model without a tokenizer",
            expected="token ids (prompt, position)",
            fix="give ids, or load the model with its tokenizer",
        )
    read = partial(model.tokenizer, add_special_tokens=False, verbose=False)
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
