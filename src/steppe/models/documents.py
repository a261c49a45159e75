"""A source of prompts is a file, a folder or a data set; its documents come one at a time."""

from __future__ import annotations

import os
import re
from collections.abc import Generator, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from huggingface_hub import HfApi

from steppe.core.errors import InputError, MissingExtraError
from steppe.models.hub_rows import kept_rows, rows_file
from steppe.models.rows import COLUMN_NAMES, KNOWN_COLUMNS, MASK, BadRowError, Columns, Document
from steppe.models.text_files import ENDINGS, format_of, read_file

_MOST_FILES = 20_000
_NOTE = re.compile(r"(readme|licen[cs]e|notice|citation|dataset_infos?|state)\b", re.IGNORECASE)
_SPLITS = {
    word: name
    for name, words in {
        "train": ("train", "training"),
        "validation": ("validation", "valid", "val", "dev"),
        "test": ("test", "testing", "eval", "evaluation"),
    }.items()
    for word in words
}


@dataclass(frozen=True, eq=False)
class Source:
    """Where prompts come from.

    Attributes:
        documents: Its documents in order, and in place of each row that cannot be used why.
        revision: The commit of a data set of the hub.
    """

    documents: Generator[Document | BadRowError]
    revision: str | None = None


def open_source(
    source: str, *, column: str | None, revision: str | None, endless_allowed: bool
) -> Source:
    """Open a file, a folder or a data set of the hub.

    A folder is what ``datasets`` saved, or else its files are read in the order of their paths,
    each as it is read by itself: those of the first format that there is, of parquet, jsonl, json,
    csv, txt and md; where their paths name a split called train, that split alone.

    Args:
        source: Path or hub id.
        column: Which column holds the text or the token ids; None: the first that is known.
        revision: Branch, tag or commit on the hub.
        endless_allowed: Whether the caller stops by itself; a hub data set is refused otherwise.

    Raises:
        InputError: No such source, or an unknown format. Faults of the content are raised when
            it is read.
        MissingExtraError: A package of the extra ``datasets`` is needed.
    """
    path, columns = Path(source).expanduser(), Columns(column)
    if path.is_file() and format_of(path) is not None:
        return Source(read_file(path, columns))
    if path.is_dir():
        return Source(_read_folder(path, columns))
    means_path = format_of(path) is not None or source.startswith((".", "/", "~"))
    if path.exists() or means_path:
        of_another_kind = f"a file of another kind, {path.name}"
        raise InputError(
            f"prompts {source}",
            got=of_another_kind if path.exists() else "no such file or folder",
            expected=f"a file ending in {ENDINGS}, a data set folder, or a hub id",
            fix="check the path (relative paths start at the current folder)",
        )
    if not endless_allowed:
        raise InputError(
            f"prompts {source}",
            got="a data set of the hub without a number of prompts",
            expected="how many prompts to take",
            fix="pass count",
        )
    return _open_hub(source, revision, columns)


def _read_folder(path: Path, columns: Columns) -> Generator[Document | BadRowError]:
    if (path / "dataset_info.json").exists() or (path / "dataset_dict.json").exists():
        datasets = _import_datasets(str(path))
        try:
            rows = datasets.load_from_disk(str(path))
        except _faults(datasets) as fault:
            raise _unreadable(str(path), fault) from fault
        yield from _rows(_split(rows, str(path)), str(path), columns)
        return
    for file in _files(path):
        yield from read_file(file, columns)


def _files(path: Path) -> list[Path]:
    """The files of a folder that are read, in order."""
    formats: dict[str, list[Path]] = {}
    for file in _everything_below(path):
        found = format_of(file)
        if found is not None:
            formats.setdefault(found[0], []).append(file)
    # Beside a data set lie notes on it, which are read where there is nothing else.
    if len(formats) > 1:
        formats = {
            kind: data
            for kind, files in formats.items()
            if (data := [file for file in files if kind != ".md" and not _NOTE.match(file.name)])
        } or formats
    if len(formats) > 1:
        raise InputError(
            f"prompts {path}",
            got="; ".join(f"{len(files)} files {kind}" for kind, files in formats.items()),
            expected="data in files of one format",
            fix="give the folder that holds those that are meant, or one file",
        )
    if formats:
        (files,) = formats.values()
        return _of_one_split(path, sorted(files))
    raise InputError(
        f"prompts {path}",
        got="a folder without a file that can be read",
        expected=f"files ending in {ENDINGS}, or a data set as `save_to_disk` writes it",
        fix="give the folder that holds the data",
    )


def _everything_below(path: Path) -> Iterator[Path]:
    """Every file but hidden ones; a folder that holds far more than a data set is refused."""
    found = 0
    for folder, folders, files in os.walk(path):
        found += len(folders) + len(files)
        if found > _MOST_FILES:
            raise InputError(
                f"prompts {path}",
                got=f"a folder with more than {_MOST_FILES} files below it",
                expected="the folder of one data set",
                fix="give the data set's own folder, or one of its files",
            )
        folders[:] = [name for name in folders if not name.startswith(".")]
        yield from (Path(folder, name) for name in files if not name.startswith("."))


def _of_one_split(root: Path, files: list[Path]) -> list[Path]:
    splits: dict[str | None, list[Path]] = {}
    for file in files:
        words = re.split(r"[^a-z]+", file.relative_to(root).as_posix().lower())
        name = next((_SPLITS[word] for word in words if word in _SPLITS), None)
        splits.setdefault(name, []).append(file)
    if "train" in splits and None in splits:
        raise InputError(
            f"prompts {root}",
            got=f"{len(splits['train'])} files of the split train, as {splits['train'][0].name}, "
            f"and {len(splits[None])} of none, as {splits[None][0].name}",
            expected="paths that all name a split, or none",
            fix="give the folder that holds those that are meant, or one file",
        )
    if "train" in splits:
        return splits["train"]
    named = sorted(name for name in splits if name is not None)
    if len(named) > 1:
        raise _no_train(str(root), named)
    return files


def _open_hub(name: str, revision: str | None, columns: Columns) -> Source:
    datasets = _import_datasets(name)
    commit = revision if re.fullmatch("[0-9a-f]{40}", revision or "") else None
    try:
        commit = commit or HfApi().dataset_info(name, revision=revision).sha
    except _faults(datasets) as fault:
        raise _unreadable(name, fault) from fault
    wanted = {*KNOWN_COLUMNS, MASK} if columns.name is None else {columns.name, MASK}

    def stream(known: int) -> Iterator[dict[str, Any]]:
        rows = _split(datasets.load_dataset(name, revision=commit, streaming=True), name)
        for row in rows.skip(known):
            # Of other columns only their names are told of.
            yield {column: row[column] if column in wanted else None for column in row}

    rows = kept_rows(rows_file(name, commit, columns.name), stream)
    return Source(_rows(rows, name, columns), commit)


def _split(rows: Any, source: str) -> Any:
    """The ``train`` split of a data set, or the only one."""
    if not isinstance(rows, Mapping):
        return rows
    name = "train" if "train" in rows or not rows else next(iter(rows))
    if name not in rows or (name != "train" and len(rows) > 1):
        raise _no_train(source, sorted(rows))
    return rows[name]


def _rows(rows: Iterable[Any], source: str, columns: Columns) -> Generator[Document | BadRowError]:
    try:
        for number, row in enumerate(rows):
            yield columns.document(row, f"prompts {source}, row {number}")
    except _faults(_import_datasets(source)) as fault:
        raise _unreadable(source, fault) from fault
    finally:
        # Rows that are being kept are in place as soon as no more are read.
        if isinstance(rows, Generator):
            rows.close()


def _faults(datasets: Any) -> tuple[type[Exception], ...]:
    return OSError, ValueError, RuntimeError, datasets.exceptions.DatasetsError


def _import_datasets(source: str) -> Any:
    try:
        import datasets
    except ImportError as fault:
        raise MissingExtraError(
            f"prompts {source}", package="datasets", extra="datasets"
        ) from fault
    return datasets


def _no_train(source: str, splits: list[str]) -> InputError:
    return InputError(
        f"prompts {source}",
        got=f"the splits {splits}",
        expected="a split called train, or a single split",
        fix="save the split you want in a folder of its own",
    )


def _unreadable(source: str, fault: Exception) -> InputError:
    reason = str(fault).strip().partition("\n")[0] or type(fault).__name__
    return InputError(
        f"prompts {source}",
        got=reason,
        expected=f"a data set that can be read, with a column {COLUMN_NAMES}",
        fix="check the name and the network; or save the data set in a folder or a .parquet file",
    )
