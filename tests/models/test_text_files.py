"""Every format and compression gives the same prompts, and what is damaged is named."""

from __future__ import annotations

import builtins
import copy
import csv
import gzip
import json
import lzma
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow
import pytest
from pyarrow import parquet

from steppe.core.errors import InputError, MissingExtraError
from steppe.models import Model, Prompts, load_model, load_prompts

TEXTS = ["w01 w02", "w03 w04 w05", "w06 w07"]
WINDOWS = [[1, 2], [3, 4], [6, 7]]


def zstd(content: bytes) -> bytes:
    sink = pyarrow.BufferOutputStream()
    with pyarrow.CompressedOutputStream(sink, "zstd") as stream:
        stream.write(content)
    return bytes(sink.getvalue())


PACK: dict[str, Callable[[bytes], bytes]] = {
    "": bytes, ".gz": gzip.compress, ".xz": lzma.compress, ".zst": zstd,
}  # fmt: skip
CONTENTS = {
    ".txt": "w01 w02 w03 w04 w06 w07",
    ".md": "w01 w02 w03 w04 w06 w07",
    ".jsonl": "\n".join(json.dumps({"text": text}) for text in TEXTS),
    ".json": json.dumps([{"text": text} for text in TEXTS], indent=1),
    ".csv": "id,text\n" + "".join(f'{row},"{text}"\n' for row, text in enumerate(TEXTS)),
}


def parquet_file() -> bytes:
    sink = pyarrow.BufferOutputStream()
    parquet.write_table(pyarrow.table({"id": range(3), "text": TEXTS}), sink)
    return bytes(sink.getvalue())


BYTES = {ending: text.encode() for ending, text in CONTENTS.items()} | {".parquet": parquet_file()}


def loaded(path: Path, model: Model, length: int = 2, **options: Any) -> Prompts:
    return load_prompts(path, model, length=length, **options)


def refused(path: Path, model: Model, length: int = 2, **options: Any) -> str:
    with pytest.raises(InputError) as caught:
        loaded(path, model, length, **options)
    assert caught.value.place.startswith(f"prompts {path}")
    return str(caught.value)


def write_lines(path: Path, *records: Any) -> Path:
    path.write_text("".join(json.dumps(record) + "\n" for record in records))
    return path


@pytest.mark.parametrize("packing", PACK)
@pytest.mark.parametrize("ending", BYTES)
def test_every_format_and_compression(
    model: Model, tmp_path: Path, ending: str, packing: str
) -> None:
    path = tmp_path / f"prompts{ending}{packing}"
    path.write_bytes(PACK[packing](BYTES[ending]))
    assert loaded(path, model).tokens.tolist() == WINDOWS
    capitals = path.rename(path.with_name(f"PROMPTS{ending.upper()}{packing.upper()}"))
    assert loaded(capitals, model).tokens.tolist() == WINDOWS


@pytest.mark.parametrize("ending", CONTENTS)
def test_a_byte_order_mark_is_no_token(model: Model, tmp_path: Path, ending: str) -> None:
    path = tmp_path / f"prompts{ending}"
    path.write_text(CONTENTS[ending], encoding="utf-8-sig")
    found = loaded(path, model, max_bad_rows=0)
    assert found.tokens.tolist() == WINDOWS


def test_records_of_json_one_after_the_other(model: Model, tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_text(CONTENTS[".jsonl"])
    assert loaded(path, model).tokens.tolist() == WINDOWS
    path.write_text(json.dumps({"text": TEXTS[0]}))
    assert loaded(path, model).tokens.tolist() == WINDOWS[:1]


def test_json_is_read_record_by_record(
    model: Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("steppe.models.text_files.PIECE", 7)
    path = tmp_path / "a.json"
    path.write_text(CONTENTS[".json"])
    assert loaded(path, model).tokens.tolist() == WINDOWS
    path.write_text(CONTENTS[".json"][:-10])
    assert "row 2\n" in refused(path, model)
    # What comes after the prompts that are asked for is not read.
    assert loaded(path, model, limit=2).tokens.tolist() == WINDOWS[:2]


@pytest.mark.parametrize("content", ['[{"text": "w01"', '[{"text": "w01 w02"},', "[" * 100_000])
def test_json_that_is_none(model: Model, tmp_path: Path, content: str) -> None:
    path = tmp_path / "a.json"
    path.write_text(content)
    assert "no JSON that can be read" in refused(path, model)


def test_long_fields_of_csv(model: Model, tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    before = csv.field_size_limit()
    path.write_text('text\n"' + "w01 w02 " * 20_000 + '"\n')
    assert loaded(path, model).tokens.tolist() == [[1, 2]] * 20_000
    assert csv.field_size_limit() == before


def test_rows_of_csv_with_other_fields_than_headings(model: Model, tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("id,text\n1,w01 w02\n2,w03, w04\n")
    assert "3 fields under 2 headings" in refused(path, model)
    assert loaded(path, model, max_bad_rows=0.5).tokens.tolist() == [[1, 2]]


def test_headings_of_csv_that_cannot_be_told_apart(model: Model, tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    # Not the next line's words are its headings then.
    for heading in ('"te"xt,id', '"text'):
        path.write_text(f"{heading}\ntext,id\nw01 w02,1\n")
        assert "line 1\n  got:      headings that cannot be told apart" in refused(path, model)
    path.write_text("\n\ntext\nw01 w02\n")
    assert loaded(path, model).tokens.tolist() == [[1, 2]]


def test_two_columns_of_one_name(model: Model, tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("text,other,text\nw01 w02,w03 w04,w05 w06\n")
    assert "2 columns called text" in refused(path, model)
    assert loaded(path, model, column="other").tokens.tolist() == [[3, 4]]


def test_token_ids_in_csv(model: Model, tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text('input_ids\n"[1, 2, 3]"\n')
    assert loaded(path, model).tokens.tolist() == [[1, 2]]


@pytest.mark.parametrize("ending", [".gz", ".xz", ".zst"])
@pytest.mark.parametrize("kind", [".txt", ".jsonl", ".parquet"])
def test_packed_files_that_are_damaged(
    model: Model, tmp_path: Path, kind: str, ending: str
) -> None:
    path = tmp_path / f"a{kind}{ending}"
    path.write_bytes(PACK[ending](BYTES[kind] * 1000)[:-20])
    assert "cannot be read" in refused(path, model, max_bad_rows=0.9)
    path.write_bytes(b"neither packed nor empty")
    assert "cannot be read" in refused(path, model)


def test_a_packed_parquet_file_too_large_to_unpack(
    model: Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.parquet.gz"
    path.write_bytes(gzip.compress(BYTES[".parquet"]))
    monkeypatch.setattr("steppe.models.text_files.LARGEST_UNPACKED", 100)
    assert "more than 100 bytes once unpacked" in refused(path, model)


@pytest.mark.parametrize("ending", [*CONTENTS, ".parquet", ".txt.gz"])
def test_a_pointer_instead_of_the_file(model: Model, tmp_path: Path, ending: str) -> None:
    path = tmp_path / f"a{ending}"
    path.write_text(
        "version https://git-lfs.github.com/spec/v1\noid sha256:4d7a2146\nsize 1234567890\n"
    )
    assert "a pointer of Git LFS" in refused(path, model)


def test_lines_that_are_no_json(model: Model, tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text('{"text": "w01 w02"}\n\n{"text": \n')
    message = refused(path, model)
    assert message.startswith(f"prompts {path}, line 3\n")
    assert "Expecting value" in message


@pytest.mark.parametrize(
    ("line", "got"),
    [
        ('{"text": "smile \\ud83d w02"}', r"half a surrogate pair, '\\ud83d', at character 6"),
        ('{"text": ' + "[" * 100_000 + "]" * 100_000 + "}", "nested too deeply"),
        ('{"input_ids": [' + "9" * 5_000 + "]}", "4300"),
        ('{"text": 7}', "text = 7, of type int"),
        ('{"text": null}', "text = None, of type NoneType"),
        ('{"body": "w01"}', r"the columns \['body'\]"),
        ("3", "a int"),
    ],
    ids=["surrogate", "nesting", "digits", "number", "null", "column", "no object"],
)
def test_bad_rows_are_skipped_up_to_a_share(
    model: Model, tmp_path: Path, line: str, got: str
) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text('{"text": "w01 w02"}\n' * 99 + line + "\n")
    found = loaded(path, model)
    assert (len(found), found.rows, found.skipped) == (99, 100, 1)
    with pytest.raises(InputError, match=got) as caught:
        loaded(path, model, max_bad_rows=0)
    assert caught.value.place == f"prompts {path}, line 100"
    path.write_text('{"text": "w01 w02"}\n' * 98 + (line + "\n") * 2)
    assert "2 of 100 rows cannot be used" in refused(path, model)


def test_one_bad_row_ends_no_short_file(model: Model, tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text('{"text": "w01 w02"}\n' * 9 + "no json\n")
    assert loaded(path, model).skipped == 1
    path.write_text('{"text": "w01 w02"}\n' * 8 + "no json\n")
    assert "1 of 9 rows" in refused(path, model)
    path.write_text('{"text": "w01 w02"}\n' * 9 + "no json\n" * 2)
    assert "2 of 11 rows" in refused(path, model)


@pytest.mark.parametrize("share", [float("nan"), 1, 2.0, -0.1])
def test_a_share_that_is_none(model: Model, tmp_path: Path, share: float) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text('{"text": "w01 w02"}\n')
    with pytest.raises(InputError, match="a share from 0 to below 1"):
        loaded(path, model, max_bad_rows=share)


def test_a_file_of_bad_rows_is_not_read_to_its_end(model: Model, tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text("no json\n" * 5_000)
    assert "1000 of 1000 rows" in refused(path, model)


def test_a_line_too_long(model: Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("steppe.models.text_files.LONGEST", 100)
    path = write_lines(tmp_path / "a.jsonl", {"text": "w01 w02"}, {"text": "w03 " * 99})
    with path.open("a") as file:
        file.write('{"text": "w05 w06"}')
    assert loaded(path, model, max_bad_rows=0.5).tokens.tolist() == [[1, 2], [5, 6]]
    assert "a line of more than 100 bytes" in refused(path, model)


@pytest.mark.parametrize("name", ["a.txt", "a.jsonl", "a.json", "a.csv"])
def test_bytes_that_are_no_text(model: Model, tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.write_bytes(b"\xff\xfe\x00")
    assert "bytes that are not UTF-8" in refused(path, model)


@pytest.mark.parametrize(
    "content", ["w1", [[1], [2]], [[1], [2, 3]], [1.5], ["a"], [True], 7, None]
)
def test_input_ids_that_are_none(model: Model, tmp_path: Path, content: Any) -> None:
    path = write_lines(tmp_path / "a.jsonl", {"input_ids": content})
    message = refused(path, model, 1)
    assert f"input_ids = {content!r}, not a flat list of integers" in message


def test_columns(model: Model, tmp_path: Path) -> None:
    ids = write_lines(tmp_path / "ids.jsonl", {"tokens": [1, 2, 3]})
    assert loaded(ids, model).tokens.tolist() == [[1, 2]]
    # A column called `tokens` beside a text is mostly its number of tokens.
    both = write_lines(tmp_path / "both.jsonl", {"tokens": 2, "text": "w05 w06"})
    assert loaded(both, model).tokens.tolist() == [[5, 6]]
    own = write_lines(tmp_path / "own.jsonl", {"text": "w01 w02", "body": "w03 w04"})
    assert loaded(own, model, column="body").tokens.tolist() == [[3, 4]]
    rows = write_lines(tmp_path / "rows.jsonl", {"text": "w01 w02", "mine": [7, 8]})
    assert loaded(rows, model, column="mine").tokens.tolist() == [[7, 8]]
    assert "a column other" in refused(rows, model, column="other")


def test_one_column_for_all_rows(model: Model, tmp_path: Path) -> None:
    path = write_lines(tmp_path / "a.jsonl", {"text": "w01 w02"}, {"input_ids": [3, 4]})
    assert "the columns ['input_ids']" in refused(path, model)


def test_padding_is_dropped_by_its_mask(model: Model, tmp_path: Path) -> None:
    rows = {
        "input_ids": [[0, 0, 0, 5, 6], [7, 8, 9, 0, 0]],
        "attention_mask": [[0, 0, 0, 1, 1], [1, 1, 1, 0, 0]],
    }
    parquet.write_table(pyarrow.table(rows), tmp_path / "a.parquet")
    records = [dict(zip(rows, row, strict=True)) for row in zip(*rows.values(), strict=True)]
    for path in (tmp_path / "a.parquet", write_lines(tmp_path / "a.jsonl", *records)):
        assert loaded(path, model).tokens.tolist() == [[5, 6], [7, 8]]
        assert "a row of 2 tokens" in refused(path, model, 3)


@pytest.mark.parametrize("mask", [[1, 0, 1], [1, 1], [1, 1, 2], "x"])
def test_masks_that_cannot_be(model: Model, tmp_path: Path, mask: Any) -> None:
    path = write_lines(tmp_path / "a.jsonl", {"input_ids": [1, 2, 3], "attention_mask": mask})
    assert f"attention_mask = {mask!r}" in refused(path, model)


def test_padding_without_a_mask(saved: Path, tokenizer: Any, tmp_path: Path) -> None:
    padder = copy.deepcopy(tokenizer)
    padder.pad_token = "w39"
    model = load_model(saved, tokenizer=padder)
    path = write_lines(tmp_path / "a.jsonl", {"input_ids": [39, 39, 3, 4]})
    assert "token 39 at an end of the prompt, as padding leaves it" in refused(path, model)
    # Where it pads with the end of text, or with nothing it names, one such token may be meant.
    padder.pad_token = padder.eos_token = "w38"
    for pad in ("w38", None):
        padder.pad_token = pad
        model = load_model(saved, tokenizer=padder)
        path = write_lines(tmp_path / "b.jsonl", {"input_ids": [38, 3, 4, 38]})
        assert len(load_prompts(path, model, length=4).tokens) == 1
        for row in ([38, 38, 3, 4], [3, 4, 38, 38]):
            path = write_lines(tmp_path / "c.jsonl", {"input_ids": row})
            assert "token 38 at an end" in refused(path, model, 4)


@pytest.mark.parametrize("name", ["a.txt", "a.jsonl.gz", "a.csv"])
def test_what_is_no_text(model: Model, tmp_path: Path, name: str) -> None:
    opened = gzip.open if name.endswith(".gz") else open
    with opened(tmp_path / name, "wb") as file:
        file.write(b"w01 w02" + b"\0" * 50)
    assert "NUL bytes" in refused(tmp_path / name, model)
    with opened(tmp_path / name, "wb") as file:
        file.write(b"PK\x03\x04 w01 w02")
    assert "an archive" in refused(tmp_path / name, model)


def test_one_null_row_of_parquet(model: Model, tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    parquet.write_table(
        pyarrow.table({"text": ["w01 w02"] * 150 + [None] + ["w03 w04"] * 49}), path
    )
    found = loaded(path, model)
    assert (len(found), found.skipped) == (199, 1)
    assert f"prompts {path}, row 150\n" in refused(path, model, max_bad_rows=0)


def test_a_parquet_file_that_is_none(model: Model, tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    path.write_bytes(b"not parquet")
    assert "no parquet file that can be read from row 0 on" in refused(path, model)
    parquet.write_table(pyarrow.table({"body": ["w01"]}), path)
    assert "the columns ['body']" in refused(path, model)


def test_a_damaged_page_of_parquet(model: Model, tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    texts = [f"w01 w02 number {row}" for row in range(5_000)]
    parquet.write_table(
        pyarrow.table({"text": texts}), path, compression="snappy", use_dictionary=False,
        data_page_size=2_000,
    )  # fmt: skip
    content = bytearray(path.read_bytes())
    content[len(content) // 2 : len(content) // 2 + 400] = b"\xff" * 400
    path.write_bytes(content)
    assert "no parquet file that can be read from row" in refused(path, model)
    # The rows before are whole.
    assert len(loaded(path, model, limit=10)) == 10


@pytest.mark.parametrize("name", ["a.parquet", "a.txt.zst"])
def test_pyarrow_is_missing(
    model: Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    path = tmp_path / name
    path.write_bytes(b"")
    real = builtins.__import__

    def without(name: str, *arguments: Any, **options: Any) -> Any:
        if name.partition(".")[0] == "pyarrow":
            raise ImportError(name)
        return real(name, *arguments, **options)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(MissingExtraError, match=r"pip install 'steppe\[datasets\]'"):
        loaded(path, model)
