"""Reading texts and token rows out of files and data sets, one at a time."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from steppe.core.errors import InputError, MissingExtraError

Column = Literal["input_ids", "text"]

_MOST_FILES = 20_000
_COLUMNS: tuple[Column, ...] = ("input_ids", "text")


@dataclass(frozen=True, eq=False)
class Document:
    """One text or one row of token ids.

    Attributes:
        place: Where it stands, for errors.
        column: What it is: a text or token ids.
        content: The text, or the token ids as the source gives them.
    """

    place: str
    column: Column
    content: Any


def read_documents(source: str, *, endless_allowed: bool) -> Iterator[Document]:
    """Read a text, jsonl or parquet file, a data set folder, or a data set of the hub.

    Args:
        source: Path or hub id.
        endless_allowed: Whether the caller stops by itself; a hub data set is refused otherwise.

    Raises:
        InputError: No such source, an unknown format, or a faulty line.
        MissingExtraError: A package of the extra ``datasets`` is needed.
    """
    path = Path(source).expanduser()
    reader = {".txt": _read_text, ".jsonl": _read_jsonl, ".parquet": _read_parquet}.get(path.suffix)
    if path.is_file() and reader is not None:
        return reader(path)
    if path.is_dir():
        return _read_folder(path)
    if path.is_file() or reader is not None or source.startswith((".", "/", "~")):
        raise InputError(
            f"prompts {source}",
            got="a file of another kind" if path.is_file() else "no such file or folder",
            expected="a .txt, .jsonl or .parquet file, a data set folder, or a hub id",
            fix="check the path (relative paths start at the current folder)",
        )
    if not endless_allowed:
        raise InputError(
            f"prompts {source}",
            got="a data set of the hub without a number of prompts",
            expected="how many prompts to take",
            fix="pass count",
        )
    return _read_hub(source)


def _read_text(path: Path) -> Iterator[Document]:
    try:
        yield Document(f"prompts {path}", "text", path.read_text(encoding="utf-8"))
    except UnicodeDecodeError as fault:
        raise _not_utf8(path) from fault


def _read_jsonl(path: Path) -> Iterator[Document]:
    try:
        with path.open(encoding="utf-8") as lines:
            for number, line in enumerate(lines, start=1):
                if line.strip():
                    place = f"prompts {path}, line {number}"
                    yield _document(_parse(line, place), place)
    except UnicodeDecodeError as fault:
        raise _not_utf8(path) from fault


def _parse(line: str, place: str) -> Any:
    try:
        return json.loads(line)
    except json.JSONDecodeError as fault:
        raise InputError(
            place,
            got=f"no JSON ({fault.msg})",
            expected='one JSON object per line, for instance {"text": "..."}',
            fix="mend or remove the line",
        ) from fault


def _read_parquet(path: Path) -> Iterator[Document]:
    try:
        import pyarrow
        from pyarrow import parquet
    except ImportError as fault:
        raise MissingExtraError(f"prompts {path}", package="pyarrow", extra="datasets") from fault
    try:
        file = parquet.ParquetFile(path)
    except pyarrow.ArrowInvalid as fault:
        raise InputError(
            f"prompts {path}",
            got=f"no parquet file ({fault})",
            expected=f"a parquet file with a column {' or '.join(_COLUMNS)}",
            fix="save the file again",
        ) from fault
    column = _column(file.schema_arrow.names, f"prompts {path}")
    row = 0
    for batch in file.iter_batches(columns=[column]):
        for content in batch.column(0).to_pylist():
            yield _document({column: content}, f"prompts {path}, row {row}")
            row += 1


def _read_folder(path: Path) -> Iterator[Document]:
    datasets = _import_datasets(str(path))
    _check_extent(path)
    saved = (path / "dataset_info.json").exists() or (path / "dataset_dict.json").exists()
    try:
        if saved:
            rows = datasets.load_from_disk(str(path))
        else:
            rows = datasets.load_dataset(str(path), streaming=True)
    except (OSError, ValueError, RuntimeError, datasets.exceptions.DatasetsError) as fault:
        raise _unreadable(str(path), fault) from fault
    yield from _rows(rows, str(path))


def _check_extent(path: Path) -> None:
    """Refuse a folder that holds far more than a data set: all of it would be searched for data."""
    found = 0
    for _, folders, files in os.walk(path):
        found += len(folders) + len(files)
        if found > _MOST_FILES:
            raise InputError(
                f"prompts {path}",
                got=f"a folder with more than {_MOST_FILES} files below it",
                expected="the folder of one data set",
                fix="give the data set's own folder, or one of its files",
            )


def _read_hub(name: str) -> Iterator[Document]:
    datasets = _import_datasets(name)
    try:
        rows = datasets.load_dataset(name, streaming=True)
    except (OSError, ValueError, RuntimeError, datasets.exceptions.DatasetsError) as fault:
        raise _unreadable(name, fault) from fault
    yield from _rows(rows, name)


def _rows(rows: Any, source: str) -> Iterator[Document]:
    """Documents of the ``train`` split, or of the only one."""
    if isinstance(rows, Mapping):
        name = "train" if "train" in rows or not rows else next(iter(rows))
        if name not in rows or (name != "train" and len(rows) > 1):
            raise InputError(
                f"prompts {source}",
                got=f"the splits {sorted(rows)}",
                expected="a split called train, or a single split",
                fix="save the split you want in a folder of its own",
            )
        rows = rows[name]
    for number, row in enumerate(rows):
        yield _document(row, f"prompts {source}, row {number}")


def _import_datasets(source: str) -> Any:
    try:
        import datasets
    except ImportError as fault:
        raise MissingExtraError(
            f"prompts {source}", package="datasets", extra="datasets"
        ) from fault
    return datasets


def _document(record: Any, place: str) -> Document:
    if not isinstance(record, Mapping):
        raise _no_column(place, f"a {type(record).__name__}")
    column = _column(list(record), place)
    content = record[column]
    if column == "text" and not isinstance(content, str):
        raise InputError(
            place,
            got=f"text of type {type(content).__name__}",
            expected="a string",
            fix="mend or remove the row",
        )
    return Document(place, column, content)


def _column(names: list[str], place: str) -> Column:
    for column in _COLUMNS:
        if column in names:
            return column
    raise _no_column(place, f"the columns {names}")


def _no_column(place: str, got: str) -> InputError:
    return InputError(
        place,
        got=got,
        expected="a column text or input_ids",
        fix="rename the column that holds the text or the token ids",
    )


def _not_utf8(path: Path) -> InputError:
    return InputError(
        f"prompts {path}",
        got="bytes that are no UTF-8",
        expected="a text file in UTF-8",
        fix="convert the file to UTF-8",
    )


def _unreadable(source: str, fault: Exception) -> InputError:
    reason = str(fault).strip().partition("\n")[0] or type(fault).__name__
    return InputError(
        f"prompts {source}",
        got=reason,
        expected="a data set that can be read, with a column text or input_ids",
        fix="check the name and the network; or save the data set in a folder or a .parquet file",
    )
