"""Rows of a data set of the hub are streamed once: what was read of them is kept on the disk."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Generator, Iterable
from contextlib import closing, suppress
from itertools import islice
from pathlib import Path
from typing import Any
from uuid import uuid4

from huggingface_hub import constants

# After the last row of a data set; rows are objects.
_END = "null\n"


def rows_file(*identity: str | None) -> Path:
    """Where the rows of one commit are kept, in the hub's own cache."""
    name = hashlib.sha256(json.dumps(identity).encode()).hexdigest()[:32]
    return Path(constants.HF_HOME, "steppe_rows", f"{name}.jsonl")


def kept_rows(
    path: Path, stream: Callable[[int], Iterable[dict[str, Any]]]
) -> Generator[dict[str, Any]]:
    """Rows from their file, and those after them from a stream, which are then in the file too.

    Args:
        path: The file; where it cannot be written, or a row is no JSON, none is kept.
        stream: From how many rows to leave out to the rows after them.
    """
    known = 0
    if path.is_file():
        with path.open(encoding="utf-8") as lines:
            for line in lines:
                if line == _END:
                    return
                yield json.loads(line)
                known += 1
    with closing(_Copy(path, known)) as copy:
        for row in stream(known):
            copy.add(row)
            yield row
        copy.add(None)


class _Copy:
    """The file that will take the place of ``path``, whole at any time, when it is closed."""

    def __init__(self, path: Path, known: int) -> None:
        self._path, self._draft = path, path.with_suffix(f".{uuid4().hex}")
        self._is_good = True
        self._write(lambda: self._begin(known))

    def add(self, row: dict[str, Any] | None) -> None:
        """Add a row; None: there are no more."""
        self._write(lambda: self._file.write(json.dumps(row) + "\n"))

    def close(self) -> None:
        """Put the file in place."""
        self._write(lambda: self._file.close())
        self._write(lambda: self._draft.replace(self._path))

    def _begin(self, known: int) -> None:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        self._file = self._draft.open("w", encoding="utf-8")
        if known:
            with self._path.open(encoding="utf-8") as lines:
                self._file.writelines(islice(lines, known))

    def _write(self, step: Callable[[], object]) -> None:
        if not self._is_good:
            return
        try:
            step()
        except (OSError, TypeError, ValueError):
            self._is_good = False
            with suppress(OSError, AttributeError):  # it may not even have been opened
                self._file.close()
            self._draft.unlink(missing_ok=True)
