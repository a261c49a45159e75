"""Which tokens the subject reads: fixed-length prompts from a file, a data set or the bundle.

No token is added: a prompt starts where its text or row does, without a beginning-of-sequence
token.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import load_file

from steppe.core.bundled import DEMO, demo_prompts
from steppe.core.errors import InputError
from steppe.subject.documents import Document, read_documents
from steppe.subject.model import Subject

_WINDOW = 10


@dataclass(frozen=True, eq=False)
class Prompts:
    """Fixed-length prompts.

    Attributes:
        tokens: int64 ``(prompt, position)``.
        source: Where they came from.
        sha256: Hash of their shape and token ids.
    """

    tokens: NDArray[np.int64]
    source: str
    sha256: str

    def __len__(self) -> int:
        return len(self.tokens)


def load_prompts(
    source: str | Path | None,
    subject: Subject,
    *,
    length: int = 10,
    count: int | None = None,
    limit: int | None = None,
) -> Prompts:
    """Load prompts for a subject.

    Args:
        source: ``"demo"`` or None (the bundled prompts, for the bundled subject); a ``.txt``,
            ``.jsonl`` or ``.parquet`` file; a folder or hub id of a data set. Text (column
            ``text``) is cut into consecutive windows, each document by itself; of token rows
            (column ``input_ids``) the first ``length`` tokens are taken.
        subject: Gives the tokenizer and the vocabulary.
        length: Tokens per prompt.
        count: How many prompts, from the first on; None takes all there are.
        limit: Take at most this many, and what there is when there are fewer.

    Returns:
        The prompts, in the order of the source.

    Raises:
        InputError: No such source, an empty one, rows shorter than ``length``, fewer prompts than
            ``count``, tokens outside the vocabulary, or text without a tokenizer.
        MissingExtraError: The source needs a package of the extra ``datasets``.
    """
    _check_numbers(subject, length, count)
    if source is None and subject.name != DEMO:
        raise InputError(
            "prompts",
            got=f"none, for the subject {subject.name}",
            expected="a file or a data set to take prompts from",
            fix="pass a .txt, .jsonl or .parquet file, a data set folder or a hub id",
        )
    name = DEMO if source is None else str(source)
    if name == DEMO:
        windows: Iterator[NDArray[np.int64]] = iter(_bundled(length))
    else:
        windows = _windows(name, subject, length, is_bounded=bool(count or limit))
    rows = list(islice(windows, count or limit))
    _check_rows(rows, name, length, count)
    tokens = np.stack(rows)
    _check_vocabulary(tokens, name, subject)
    digest = hashlib.sha256(repr(tokens.shape).encode() + tokens.tobytes()).hexdigest()
    return Prompts(tokens, name, digest)


def _bundled(length: int) -> NDArray[np.int64]:
    tensors = load_file(demo_prompts())
    rows = tensors["windows_10" if length == _WINDOW else "sequences_128"]
    if length > rows.shape[1]:
        raise InputError(
            "length",
            got=str(length),
            expected=f"at most {rows.shape[1]} for the bundled prompts",
            fix="use shorter prompts, or a file of your own",
        )
    windows: NDArray[np.int64] = rows[:, :length].astype(np.int64)
    return windows


def _windows(
    source: str, subject: Subject, length: int, *, is_bounded: bool
) -> Iterator[NDArray[np.int64]]:
    """Cut the documents of a source into prompts, reading no more of it than is asked for."""
    for document in read_documents(source, endless_allowed=is_bounded):
        if document.column == "text":
            ids = _tokenise(document.content, subject, document.place)
            for start in range(0, len(ids) - length + 1, length):
                yield ids[start : start + length]
        else:
            yield _row(document, length)


def _tokenise(text: str, subject: Subject, place: str) -> NDArray[np.int64]:
    if subject.tokenizer is None:
        raise InputError(
            place,
            got=f"text, for the subject {subject.name} which has no tokenizer",
            expected="a subject with a tokenizer, or prompts of token ids (input_ids)",
            fix="pass tokenizer= to load_subject, or tokenise the prompts beforehand",
        )
    # verbose=False: a text longer than the context is cut below, so the warning would mislead.
    ids = subject.tokenizer(text, add_special_tokens=False, verbose=False)["input_ids"]
    return np.asarray(ids, dtype=np.int64)


def _row(document: Document, length: int) -> NDArray[np.int64]:
    try:
        row = np.asarray(document.content)
        ids = row.astype(np.int64, casting="same_kind") if row.size else row.astype(np.int64)
    except (TypeError, ValueError) as fault:
        raise _bad_row(document.place) from fault
    if ids.ndim != 1:
        raise _bad_row(document.place)
    if len(ids) < length:
        raise InputError(
            document.place,
            got=f"a row of {len(ids)} tokens",
            expected=f"at least {length} tokens, the length asked for",
            fix=f"ask for at most {len(ids)} tokens per prompt, or use longer rows",
        )
    return ids[:length]


def _bad_row(place: str) -> InputError:
    return InputError(
        place,
        got="input_ids that are no flat list of integers",
        expected="one list of token ids per row",
        fix="store each row's input_ids as a list of integers",
    )


def _check_numbers(subject: Subject, length: int, count: int | None) -> None:
    limit = subject.context_length
    if length < 1 or (limit is not None and length > limit):
        raise InputError(
            "length",
            got=str(length),
            expected="1 or more" if limit is None else f"1 to {limit}, the context length",
            fix="choose how many tokens a prompt has",
        )
    if count is not None and count < 1:
        raise InputError(
            "count",
            got=str(count),
            expected="1 or more",
            fix="choose how many prompts to load, or leave count out to load all",
        )


def _check_rows(rows: list[NDArray[np.int64]], source: str, length: int, count: int | None) -> None:
    wanted = 1 if count is None else count
    if len(rows) < wanted:
        raise InputError(
            f"prompts {source}",
            got=f"{len(rows)} prompts of {length} tokens",
            expected=f"at least {wanted}",
            fix="use a larger source, shorter prompts or fewer of them",
        )


def _check_vocabulary(tokens: NDArray[np.int64], source: str, subject: Subject) -> None:
    outside = (tokens < 0) | (tokens >= subject.d_vocab)
    if outside.any():
        prompt, position = (int(index) for index in np.argwhere(outside)[0])
        raise InputError(
            f"prompts {source}, prompt {prompt}, position {position}",
            got=f"token id {tokens[prompt, position]}",
            expected=f"0 to {subject.d_vocab - 1}, the vocabulary of {subject.name}",
            fix="tokenise the prompts with this subject's own tokenizer",
        )
