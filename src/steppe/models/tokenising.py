"""Token ids of a text that is read in pieces: the same as those of the whole."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from steppe.models.rows import PIECE

# Tokenizers do not join what stands on both sides of a single space; of line ends, hardly any do.
_SPACE = re.compile(r"(?<=\S) (?=\S)")
_LINE_END = re.compile(r"(?<=\S\n)(?=\S)")


def tokenise(tokenizer: Any, text: Iterable[str]) -> Iterator[NDArray[np.int64]]:
    """Token ids of a text, nothing added in front.

    The text is tokenised some 65,000 characters at a time, cut at single spaces; where it has
    none, at line ends, and where it has none of these either, anywhere.

    Args:
        tokenizer: A tokenizer of transformers.
        text: Its parts, in order; they are joined and cut anew.

    Yields:
        Ids ``(token,)``; joined, they are the whole text's.
    """
    drops_space = _puts_spaces_in_front(tokenizer)
    for number, piece in enumerate(_recut(text)):
        given = piece[1:] if number and drops_space and piece.startswith(" ") else piece
        yield _ids(tokenizer, given)


def _ids(tokenizer: Any, text: str) -> NDArray[np.int64]:
    # verbose=False: a text longer than the context is cut into prompts, so its warning misleads.
    found = tokenizer(text, add_special_tokens=False, verbose=False)["input_ids"]
    return np.asarray(found, dtype=np.int64)


def _puts_spaces_in_front(tokenizer: Any) -> bool:
    """Whether a piece gets a space in front of its own, as SentencePiece does by default."""
    whole, first = _ids(tokenizer, "in the").tolist(), _ids(tokenizer, "in").tolist()
    kept, dropped = (first + _ids(tokenizer, text).tolist() for text in (" the", "the"))
    return bool(whole != kept and whole == dropped)


def _recut(text: Iterable[str]) -> Iterator[str]:
    rest = ""
    for part in text:
        rest += part
        while len(rest) >= 2 * PIECE:
            end = _cut(rest)
            yield rest[:end]
            rest = rest[end:]
    yield rest


def _cut(text: str) -> int:
    """Where the first piece of a text ends: at the last gap before the end of its limit."""
    for gap in (_SPACE, _LINE_END):
        ends = [found.start() for found in gap.finditer(text, PIECE // 2, PIECE)]
        if ends:
            return ends[-1]
    return PIECE
