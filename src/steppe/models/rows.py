"""One row of a source becomes a document: a text, or token ids without their padding."""

from __future__ import annotations

import json
import reprlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeVar

import numpy as np
from numpy.typing import NDArray

from steppe.core.errors import InputError

Kind = Literal["ids", "text"]
E = TypeVar("E", bound=InputError)

MASK = "attention_mask"
# Looked for in this order; a column of another name is what its first row is.
KNOWN_COLUMNS: Mapping[str, Kind] = {"input_ids": "ids", "text": "text", "tokens": "ids"}
COLUMN_NAMES = "text, input_ids or tokens"
# Characters that a text is handed on in.
PIECE = 1 << 16


class BadRowError(InputError):
    """A row that cannot be used, in a source of which others may be."""


@dataclass(frozen=True, eq=False)
class Document:
    """One text or one row of token ids.

    Attributes:
        place: Where it stands, for errors.
        content: A text in pieces, or token ids ``(token,)``, int64.
        is_masked: Whether padding was told from tokens by a mask.
    """

    place: str
    content: Iterable[str] | NDArray[np.int64]
    is_masked: bool = False


class Columns:
    """Which column of a source holds the text or the token ids; the same one for all of its rows.

    Args:
        asked: Its name; None: the first of the known names that the first usable row has.
    """

    def __init__(self, asked: str | None) -> None:
        self.name = asked
        self._kind: Kind | None = None if asked is None else KNOWN_COLUMNS.get(asked)

    def choose(self, names: Sequence[str], place: str) -> list[str]:
        """Settle on a column of a table whose columns are known; returns those to be read.

        Raises:
            InputError: There is none with text or token ids, or several of its name.
        """
        found = self._find(names)
        if found is None:
            raise self._absent(InputError, place, f"the columns {list(names)}")
        if list(names).count(found) > 1:
            raise InputError(
                place,
                got=f"{list(names).count(found)} columns called {found}",
                expected="one",
                fix="rename the others, or name another column (--column)",
            )
        self.name = found
        return [name for name in names if name in (found, MASK)]

    def document(self, record: Any, place: str) -> Document | BadRowError:
        """What a row holds, or why it cannot be used."""
        try:
            return self._document(record, place)
        except BadRowError as fault:
            return fault

    def _document(self, record: Any, place: str) -> Document:
        if not isinstance(record, Mapping):
            raise self._absent(BadRowError, place, f"a {type(record).__name__}")
        name = self._find(list(record))
        if name is None:
            raise self._absent(BadRowError, place, f"the columns {list(record)}")
        content = record[name]
        kind = self._kind or KNOWN_COLUMNS.get(name)
        kind = kind or ("text" if isinstance(content, str) else "ids")
        if kind == "text":
            found = Document(place, _text(content, name, place))
        else:
            mask = record.get(MASK)
            ids = _ids(content, name, place)
            ids = ids if mask is None else _without_padding(ids, mask, place)
            found = Document(place, ids, is_masked=mask is not None)
        self.name, self._kind = name, kind
        return found

    def _find(self, names: Sequence[str]) -> str | None:
        wanted = KNOWN_COLUMNS if self.name is None else [self.name]
        return next((name for name in wanted if name in names), None)

    def _absent(self, kind: type[E], place: str, got: str) -> E:
        return kind(
            place,
            got=got,
            expected=f"a column {COLUMN_NAMES if self.name is None else self.name}",
            fix="name the column that holds the text or the token ids (--column)",
        )


def parse_json(line: str, place: str) -> Any:
    """Read one JSON value.

    Raises:
        BadRowError: It is none, or one that cannot be read: nested too deeply, a number too long.
    """
    try:
        return json.loads(line)
    except (ValueError, RecursionError) as fault:
        raise BadRowError(
            place,
            got=f"no JSON that can be read ({json_reason(fault)})",
            expected='one JSON object per line, for instance {"text": "..."}',
            fix="mend or remove the line",
        ) from fault


def json_reason(fault: Exception) -> str:
    """What is wrong with a JSON text, in a few words."""
    if isinstance(fault, json.JSONDecodeError):
        return fault.msg
    return "nested too deeply" if isinstance(fault, RecursionError) else str(fault)


def _text(content: Any, name: str, place: str) -> Iterable[str]:
    if not isinstance(content, str):
        raise BadRowError(
            place,
            got=f"{name} = {reprlib.repr(content)}, of type {type(content).__name__}",
            expected="a string",
            fix="mend or remove the row, or name another column (--column)",
        )
    try:
        content.encode("utf-8")
    except UnicodeEncodeError as fault:
        raise BadRowError(
            place,
            got=f"{name} with half a surrogate pair, {content[fault.start]!a}, at character "
            f"{fault.start}",
            expected="characters that UTF-8 has",
            fix="mend or remove the row",
        ) from fault
    return (content[start : start + PIECE] for start in range(0, len(content), PIECE))


def _ids(content: Any, name: str, place: str) -> NDArray[np.int64]:
    try:
        # Tables in text files hold lists as text.
        row = np.asarray(parse_json(content, place) if isinstance(content, str) else content)
    except (BadRowError, ValueError):  # no list, or one of lists of several lengths
        row = np.empty((0, 0))
    if row.ndim != 1 or (row.size and row.dtype.kind not in "iu"):
        raise BadRowError(
            place,
            got=f"{name} = {reprlib.repr(content)}, not a flat list of integers",
            expected="one list of token ids per row",
            fix=f"store {name} as a list of integers, or name another column (--column)",
        )
    return row.astype(np.int64)


def _without_padding(ids: NDArray[np.int64], mask: Any, place: str) -> NDArray[np.int64]:
    marks = _ids(mask, MASK, place)
    kept = np.flatnonzero(marks)
    has_holes = kept.size > 0 and kept[-1] - kept[0] + 1 != kept.size
    if marks.shape != ids.shape or not np.isin(marks, (0, 1)).all() or has_holes:
        raise BadRowError(
            place,
            got=f"{MASK} = {reprlib.repr(mask)} for {len(ids)} token ids",
            expected="a 1 for each token and a 0 for each padding token, which stand at the ends",
            fix="mend or remove the row; write packed sequences as rows of their own",
        )
    return ids[kept]
