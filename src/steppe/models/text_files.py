"""Texts and token rows of one file, read in pieces: its format and its compression by its name."""

from __future__ import annotations

import codecs
import csv
import gzip
import io
import json
import lzma
import re
import tempfile
import zlib
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import IO, Any, TypeVar

from steppe.core.errors import InputError, MissingExtraError
from steppe.models.rows import (
    COLUMN_NAMES,
    PIECE,
    BadRowError,
    Columns,
    Document,
    json_reason,
    parse_json,
)

# Bytes of a line, and characters of a record or a field, that are read at most.
LONGEST = 1 << 25
FORMATS = (".parquet", ".jsonl", ".json", ".csv", ".txt", ".md")
ENDINGS = ".txt, .md, .jsonl, .json, .csv or .parquet (also .gz, .zst, .xz)"
# Bytes of a packed parquet file that are unpacked at most: its end is read first, so it is unpacked
# whole, into a temporary file.
LARGEST_UNPACKED = 1 << 34
# Rows of a parquet file that are held at once.
_BATCH = 64
_LFS_POINTER = b"version https://git-lfs.github.com/spec/"
_ARCHIVE = b"PK\x03\x04"
_HEAD = 4096
_BETWEEN = re.compile(r"[\s,]*")

Found = Generator[Document | BadRowError]
E = TypeVar("E", bound=InputError)


def format_of(path: Path) -> tuple[str, str] | None:
    """Format and compression of a file by its name, capitals or not; None where it has neither."""
    *others, last = ["", *(suffix.lower() for suffix in path.suffixes)]
    if last in FORMATS:
        return last, ""
    if last in _OPENERS and last and others[-1] in FORMATS:
        return others[-1], last
    return None


def read_file(path: Path, columns: Columns) -> Found:
    """Read the documents of a file, one at a time.

    Args:
        path: A file that `format_of` knows.
        columns: Which column is read.

    Yields:
        Each document, or why a row cannot be used.

    Raises:
        InputError: The file cannot be read, is damaged, or is not what its name says.
        MissingExtraError: pyarrow is needed (for parquet and zstd).
    """
    found = format_of(path)
    assert found is not None
    kind, compression = found
    with _errors_named(path), path.open("rb") as file:
        if file.read(len(_LFS_POINTER)) == _LFS_POINTER:
            raise InputError(
                f"prompts {path}",
                got="a pointer of Git LFS, not the file that it stands for",
                expected="the file itself",
                fix="fetch it with `git lfs pull`",
            )
    if kind == ".parquet":
        with _seekable(path, compression) as whole:
            yield from _read_parquet(whole, path, columns)
        return
    with _errors_named(path):
        with _OPENERS[compression](path) as raw:
            _refuse_no_text(raw.read(_HEAD), path)
        with _OPENERS[compression](path) as raw:
            yield from _READERS[kind](raw, path, columns)


def _refuse_no_text(head: bytes, path: Path) -> None:
    """Refuse what is valid UTF-8 to its letters and still no text: NUL bytes, an archive."""
    # Other encodings are told where they are read.
    is_utf8 = not head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    is_binary = is_utf8 and 10 * head.count(b"\0") > len(head)
    if is_binary or head.startswith(_ARCHIVE):
        raise InputError(
            f"prompts {path}",
            got="an archive" if head.startswith(_ARCHIVE) else "NUL bytes, which no text holds",
            expected="text in UTF-8",
            fix="unpack it, or save it as text",
        )


@contextmanager
def _errors_named(path: Path) -> Iterator[None]:
    """Say of what goes wrong while a file is read which file it is."""
    try:
        yield
    except UnicodeDecodeError as fault:
        raise _not_utf8(InputError, f"prompts {path}") from fault
    except (OSError, EOFError, zlib.error, lzma.LZMAError) as fault:
        raise InputError(
            f"prompts {path}",
            got=f"a file that cannot be read ({fault})",
            expected="a whole file, in the format that its name says",
            fix="fetch or save it again",
        ) from fault


def _read_text(raw: IO[bytes], path: Path, columns: Columns) -> Found:
    del columns
    with io.TextIOWrapper(raw, encoding="utf-8-sig") as text:
        yield Document(f"prompts {path}", _pieces(text, path))


def _pieces(text: io.TextIOWrapper, path: Path) -> Iterator[str]:
    with _errors_named(path):
        while piece := text.read(PIECE):
            yield piece


def _read_jsonl(raw: IO[bytes], path: Path, columns: Columns) -> Found:
    for number in count(1):
        line = raw.readline(LONGEST + 1)
        if not line:
            return
        place = f"prompts {path}, line {number}"
        if len(line) > LONGEST:
            _skip_line(raw, line)
            yield _too_long(place)
            continue
        line = line.removeprefix(codecs.BOM_UTF8) if number == 1 else line
        if line.strip():
            yield _json_line(line, place, columns)


def _json_line(line: bytes, place: str, columns: Columns) -> Document | BadRowError:
    try:
        return columns.document(parse_json(line.decode("utf-8"), place), place)
    except UnicodeDecodeError:
        return _not_utf8(BadRowError, place)
    except BadRowError as fault:
        return fault


def _skip_line(raw: IO[bytes], start: bytes) -> None:
    while start and not start.endswith(b"\n"):
        start = raw.readline(LONGEST)


def _read_json(raw: IO[bytes], path: Path, columns: Columns) -> Found:
    with io.TextIOWrapper(raw, encoding="utf-8-sig") as text:
        for number, record in enumerate(_json_values(text, path)):
            yield columns.document(record, f"prompts {path}, row {number}")


def _json_values(text: io.TextIOWrapper, path: Path) -> Iterator[Any]:
    """Records of a list, or one after the other; no more of the file is held than one takes."""
    decode = json.JSONDecoder().raw_decode
    buffer, start, is_list, is_end = text.read(PIECE), 0, False, False
    start = _gap_end(buffer, 0)
    if buffer.startswith("[", start):
        is_list, start = True, start + 1
    for number in count():
        while True:
            start = _gap_end(buffer, start)
            if is_list and buffer.startswith("]", start):
                return
            if is_end and not is_list and start == len(buffer):
                return
            reason = "the file ends within it"
            try:
                value, end = decode(buffer, start)
                if is_end or end < len(buffer):
                    break
            except (ValueError, RecursionError) as fault:
                reason = json_reason(fault)
            if is_end or len(buffer) - start > LONGEST:
                raise InputError(
                    f"prompts {path}, row {number}",
                    got=f"no JSON that can be read ({reason})",
                    expected='a list of objects, for instance [{"text": "..."}]',
                    fix="mend the file, or save it as .jsonl, of which bad rows can be skipped",
                )
            piece = text.read(max(PIECE, len(buffer) - start))
            buffer, start, is_end = buffer[start:] + piece, 0, not piece
        yield value
        start = end


def _gap_end(buffer: str, start: int) -> int:
    """Where the white space and commas between two records end."""
    found = _BETWEEN.match(buffer, start)
    return found.end() if found else start


def _read_csv(raw: IO[bytes], path: Path, columns: Columns) -> Found:
    with io.TextIOWrapper(raw, encoding="utf-8-sig", newline="") as text:
        yield from _csv_rows(text, path, columns)


def _csv_rows(text: io.TextIOWrapper, path: Path, columns: Columns) -> Found:
    lines = csv.reader(text, strict=True)
    heading: list[str] | None = None
    while True:
        place = f"prompts {path}, line {lines.line_num + 1}"
        try:
            fields = _next_fields(lines)
        except csv.Error as fault:
            if heading is None:
                # The next line is no heading.
                raise InputError(
                    place,
                    got=f"headings that cannot be told apart ({fault})",
                    expected="a first line of headings, those with commas or quotes in quotes",
                    fix="mend the first line",
                ) from fault
            yield _bad_fields(place, f"fields that cannot be told apart ({fault})")
            continue
        if fields is None:
            return
        if not fields:
            continue
        if heading is None:
            heading = fields
            columns.choose(heading, f"prompts {path}")
        elif len(fields) == len(heading):
            yield columns.document(dict(zip(heading, fields, strict=True)), place)
        else:
            yield _bad_fields(place, f"{len(fields)} fields under {len(heading)} headings")


def _next_fields(lines: Iterator[list[str]]) -> list[str] | None:
    # The limit belongs to the process: it is raised for one row, and given back.
    before = csv.field_size_limit(LONGEST)
    try:
        return next(lines, None)
    finally:
        csv.field_size_limit(before)


@contextmanager
def _seekable(path: Path, compression: str) -> Iterator[IO[bytes]]:
    """The bytes of a file, unpacked where it is packed, to be read in any order.

    Raises:
        InputError: There are more than `LARGEST_UNPACKED`.
    """
    if not compression:
        with path.open("rb") as file:
            yield file
        return
    with tempfile.TemporaryFile() as unpacked:
        for piece in _packed_pieces(path, compression):
            if unpacked.tell() + len(piece) > LARGEST_UNPACKED:
                raise InputError(
                    f"prompts {path}",
                    got=f"more than {LARGEST_UNPACKED:,} bytes once unpacked",
                    expected="at most as many: such a file is unpacked whole before it is read",
                    fix="unpack it, and give the .parquet file",
                )
            unpacked.write(piece)
        yield unpacked


def _packed_pieces(path: Path, compression: str) -> Iterator[bytes]:
    with _errors_named(path), _OPENERS[compression](path) as raw:
        while piece := raw.read(PIECE):
            yield piece


def _read_parquet(whole: IO[bytes], path: Path, columns: Columns) -> Found:
    pyarrow = _import_pyarrow(path)
    row = 0
    try:
        # Pages are read as they are needed: a row group may be larger than the memory.
        file = pyarrow.parquet.ParquetFile(whole, buffer_size=PIECE, pre_buffer=False)
        wanted = columns.choose(file.schema_arrow.names, f"prompts {path}")
        for batch in file.iter_batches(batch_size=_BATCH, columns=wanted):
            for record in batch.to_pylist():
                yield columns.document(record, f"prompts {path}, row {row}")
                row += 1
    except (pyarrow.ArrowException, OSError) as fault:
        raise InputError(
            f"prompts {path}",
            got=f"no parquet file that can be read from row {row} on ({fault})",
            expected=f"a whole parquet file with a column {COLUMN_NAMES}",
            fix="fetch or save it again",
        ) from fault


def _open_zstd(path: Path) -> IO[bytes]:
    pyarrow = _import_pyarrow(path)
    return io.BufferedReader(pyarrow.input_stream(str(path), compression="zstd"))


def _import_pyarrow(path: Path) -> Any:
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError as fault:
        raise MissingExtraError(f"prompts {path}", package="pyarrow", extra="datasets") from fault
    return pyarrow


def _not_utf8(kind: type[E], place: str) -> E:
    return kind(
        place,
        got="bytes that are not UTF-8",
        expected="text in UTF-8",
        fix="convert the file to UTF-8",
    )


def _bad_fields(place: str, got: str) -> BadRowError:
    return BadRowError(
        place,
        got=got,
        expected="as many fields as headings, those with commas or line ends in quotes",
        fix="mend or remove the row",
    )


def _too_long(place: str) -> BadRowError:
    return BadRowError(
        place,
        got=f"a line of more than {LONGEST} bytes",
        expected="one JSON object per line",
        fix="cut the text into several rows, or give it as a .txt file",
    )


_READERS: dict[str, Callable[[IO[bytes], Path, Columns], Found]] = {
    ".txt": _read_text,
    ".md": _read_text,
    ".jsonl": _read_jsonl,
    ".json": _read_json,
    ".csv": _read_csv,
}
_OPENERS: dict[str, Callable[[Path], Any]] = {
    "": lambda path: path.open("rb"),
    ".gz": gzip.open,
    ".xz": lzma.open,
    ".zst": _open_zstd,
}
