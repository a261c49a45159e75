from __future__ import annotations

import builtins
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import save_file

from steppe.core.errors import InputError, MissingExtraError
from steppe.subject import Subject, load_prompts, load_subject


def words(*ids: int) -> str:
    return " ".join(f"w{index:02d}" for index in ids)


def refused(*arguments: Any, **options: Any) -> str:
    with pytest.raises(InputError) as caught:
        load_prompts(*arguments, **options)
    return str(caught.value)


@pytest.fixture
def text(tmp_path: Path) -> Path:
    path = tmp_path / "prompts.txt"
    path.write_text(words(*range(11)))
    return path


def write_jsonl(path: Path, *records: Any) -> Path:
    path.write_text("".join(json.dumps(record) + "\n" for record in records))
    return path


def write_parquet(path: Path, **columns: Any) -> Path:
    import pyarrow
    from pyarrow import parquet

    parquet.write_table(pyarrow.table(columns), path)
    return path


def test_text_is_cut_into_consecutive_windows_without_an_added_token(
    subject: Subject, text: Path
) -> None:
    prompts = load_prompts(text, subject, length=3)
    assert prompts.tokens.dtype == np.int64
    # The tokenizer alone would put w00 in front; the tail of two tokens is dropped.
    assert prompts.tokens.tolist() == [[0, 1, 2], [3, 4, 5], [6, 7, 8]]
    assert prompts.source == str(text)
    assert len(prompts) == 3


def test_the_hash_follows_the_tokens_and_their_shape(subject: Subject, text: Path) -> None:
    three = load_prompts(text, subject, length=3)
    assert load_prompts(text, subject, length=3).sha256 == three.sha256
    assert load_prompts(text, subject, length=3, count=2).sha256 != three.sha256
    assert load_prompts(text, subject, length=9, count=1).sha256 != three.sha256


def test_windows_do_not_cross_documents(subject: Subject, tmp_path: Path) -> None:
    path = write_jsonl(
        tmp_path / "prompts.jsonl", {"text": words(1, 2, 3, 4, 5)}, {"text": words(6, 7, 8)}
    )
    assert load_prompts(path, subject, length=2).tokens.tolist() == [[1, 2], [3, 4], [6, 7]]


def test_rows_of_token_ids_give_one_prompt_each(subject: Subject, tmp_path: Path) -> None:
    rows = [[1, 2, 3, 4], [5, 6, 7]]
    jsonl = write_jsonl(tmp_path / "rows.jsonl", *({"input_ids": row} for row in rows))
    parquet = write_parquet(tmp_path / "rows.parquet", input_ids=rows, text=["ignored"] * 2)
    for path in (jsonl, parquet):
        assert load_prompts(path, subject, length=3).tokens.tolist() == [[1, 2, 3], [5, 6, 7]]


def test_parquet_text(subject: Subject, tmp_path: Path) -> None:
    path = write_parquet(tmp_path / "rows.parquet", text=[words(1, 2), words(3, 4)])
    assert load_prompts(path, subject, length=2).tokens.tolist() == [[1, 2], [3, 4]]


def test_count_takes_the_first_and_limit_what_there_is(subject: Subject, text: Path) -> None:
    assert load_prompts(text, subject, length=3, count=2).tokens.tolist() == [[0, 1, 2], [3, 4, 5]]
    assert len(load_prompts(text, subject, length=3, limit=2)) == 2
    assert len(load_prompts(text, subject, length=3, limit=100)) == 3


def test_bundled_prompts(
    saved: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: Path
) -> None:
    file = tmp_path / "prompts.safetensors"
    windows = np.arange(30, dtype=np.int32).reshape(3, 10)
    sequences = np.tile(np.arange(32, dtype=np.int32), 8).reshape(2, 128)
    save_file({"windows_10": windows, "sequences_128": sequences}, file)
    monkeypatch.setattr("steppe.subject.prompts.demo_prompts", lambda: file)
    monkeypatch.setattr("steppe.subject.model.demo_model", lambda: saved)
    demo = load_subject("demo")
    assert load_prompts(None, demo).tokens.tolist() == windows.tolist()
    assert load_prompts("demo", demo, length=12).tokens.tolist() == sequences[:, :12].tolist()
    assert load_prompts(None, demo, count=1).source == "demo"
    assert load_prompts(text, demo, length=3).source == str(text)


def test_other_subjects_have_no_prompts_of_their_own(subject: Subject) -> None:
    assert refused(None, subject) == (
        "prompts\n"
        "  got:      none, for the subject tiny-gpt2 (local folder)\n"
        "  expected: a file or a data set to take prompts from\n"
        "  fix:      pass a .txt, .jsonl or .parquet file, a data set folder or a hub id"
    )


def test_bundled_prompts_are_not_longer_than_they_are(
    make_gpt2: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "prompts.safetensors"
    tokens = np.zeros((2, 128), dtype=np.int32)
    save_file({"windows_10": tokens[:, :10], "sequences_128": tokens}, file)
    monkeypatch.setattr("steppe.subject.prompts.demo_prompts", lambda: file)
    subject = load_subject(make_gpt2(n_positions=256))
    assert refused("demo", subject, length=129) == (
        "length\n"
        "  got:      129\n"
        "  expected: at most 128 for the bundled prompts\n"
        "  fix:      use shorter prompts, or a file of your own"
    )


def test_an_empty_file(subject: Subject, tmp_path: Path) -> None:
    for name in ("empty.txt", "empty.jsonl"):
        path = tmp_path / name
        path.write_text("")
        assert refused(path, subject) == (
            f"prompts {path}\n"
            "  got:      0 prompts of 10 tokens\n"
            "  expected: at least 1\n"
            "  fix:      use a larger source, shorter prompts or fewer of them"
        )


def test_fewer_prompts_than_asked(subject: Subject, text: Path) -> None:
    assert refused(text, subject, length=3, count=4) == (
        f"prompts {text}\n"
        "  got:      3 prompts of 3 tokens\n"
        "  expected: at least 4\n"
        "  fix:      use a larger source, shorter prompts or fewer of them"
    )


def test_a_row_shorter_than_asked(subject: Subject, tmp_path: Path) -> None:
    path = write_jsonl(tmp_path / "a.jsonl", {"input_ids": [1, 2, 3]}, {"input_ids": [1, 2]})
    assert refused(path, subject, length=3) == (
        f"prompts {path}, line 2\n"
        "  got:      a row of 2 tokens\n"
        "  expected: at least 3 tokens, the length asked for\n"
        "  fix:      ask for at most 2 tokens per prompt, or use longer rows"
    )


@pytest.mark.parametrize("token", [40, -1])
def test_tokens_out_of_the_vocabulary(subject: Subject, tmp_path: Path, token: int) -> None:
    path = write_parquet(tmp_path / "a.parquet", input_ids=[[1, 2, 3], [1, token, 3]])
    assert refused(path, subject, length=3) == (
        f"prompts {path}, prompt 1, position 1\n"
        f"  got:      token id {token}\n"
        "  expected: 0 to 39, the vocabulary of tiny-gpt2 (local folder)\n"
        "  fix:      tokenise the prompts with this subject's own tokenizer"
    )


def test_text_without_a_tokenizer(make_gpt2: Callable[..., Any], text: Path) -> None:
    assert refused(text, load_subject(make_gpt2())) == (
        f"prompts {text}\n"
        "  got:      text, for the subject GPT2LMHeadModel which has no tokenizer\n"
        "  expected: a subject with a tokenizer, or prompts of token ids (input_ids)\n"
        "  fix:      pass tokenizer= to load_subject, or tokenise the prompts beforehand"
    )


@pytest.mark.parametrize(("length", "got"), [(0, "0"), (65, "65")])
def test_impossible_lengths(subject: Subject, text: Path, length: int, got: str) -> None:
    assert refused(text, subject, length=length) == (
        "length\n"
        f"  got:      {got}\n"
        "  expected: 1 to 64, the context length\n"
        "  fix:      choose how many tokens a prompt has"
    )


def test_impossible_counts(subject: Subject, text: Path) -> None:
    assert refused(text, subject, count=0) == (
        "count\n"
        "  got:      0\n"
        "  expected: 1 or more\n"
        "  fix:      choose how many prompts to load, or leave count out to load all"
    )


@pytest.mark.parametrize("name", ["./none.txt", "none.jsonl", "/none", "~/none.parquet"])
def test_a_missing_file(subject: Subject, name: str) -> None:
    assert refused(name, subject) == (
        f"prompts {name}\n"
        "  got:      no such file or folder\n"
        "  expected: a .txt, .jsonl or .parquet file, a data set folder, or a hub id\n"
        "  fix:      check the path (relative paths start at the current folder)"
    )


def test_a_file_of_another_kind(subject: Subject, tmp_path: Path) -> None:
    path = tmp_path / "prompts.docx"
    path.write_text("")
    assert "got:      a file of another kind" in refused(path, subject)


def test_lines_that_are_no_json(subject: Subject, tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text('{"text": "w01 w02"}\n\n{"text": \n')
    assert refused(path, subject, length=2) == (
        f"prompts {path}, line 3\n"
        "  got:      no JSON (Expecting value)\n"
        '  expected: one JSON object per line, for instance {"text": "..."}\n'
        "  fix:      mend or remove the line"
    )


def test_bytes_that_are_no_text(subject: Subject, tmp_path: Path) -> None:
    for name in ("a.txt", "a.jsonl"):
        path = tmp_path / name
        path.write_bytes(b"\xff\xfe\x00")
        assert refused(path, subject) == (
            f"prompts {path}\n"
            "  got:      bytes that are no UTF-8\n"
            "  expected: a text file in UTF-8\n"
            "  fix:      convert the file to UTF-8"
        )


def test_a_parquet_file_that_is_none(subject: Subject, tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    path.write_bytes(b"not parquet")
    assert "expected: a parquet file with a column input_ids or text" in refused(path, subject)


def test_columns_that_are_not_there(subject: Subject, tmp_path: Path) -> None:
    jsonl = write_jsonl(tmp_path / "a.jsonl", {"body": "w1"})
    assert refused(jsonl, subject) == (
        f"prompts {jsonl}, line 1\n"
        "  got:      the columns ['body']\n"
        "  expected: a column text or input_ids\n"
        "  fix:      rename the column that holds the text or the token ids"
    )
    parquet = write_parquet(tmp_path / "a.parquet", body=["w1"])
    assert "got:      the columns ['body']" in refused(parquet, subject)
    numbers = write_jsonl(tmp_path / "b.jsonl", 3)
    assert "got:      a int" in refused(numbers, subject)


@pytest.mark.parametrize("content", ["w1", [[1], [2]], [1.5, 2.5], ["a", "b"], 7, None])
def test_input_ids_that_are_none(subject: Subject, tmp_path: Path, content: Any) -> None:
    path = write_jsonl(tmp_path / "a.jsonl", {"input_ids": content})
    assert refused(path, subject, length=1) == (
        f"prompts {path}, line 1\n"
        "  got:      input_ids that are no flat list of integers\n"
        "  expected: one list of token ids per row\n"
        "  fix:      store each row's input_ids as a list of integers"
    )


def test_text_that_is_none(subject: Subject, tmp_path: Path) -> None:
    path = write_jsonl(tmp_path / "a.jsonl", {"text": 7})
    assert refused(path, subject) == (
        f"prompts {path}, line 1\n"
        "  got:      text of type int\n"
        "  expected: a string\n"
        "  fix:      mend or remove the row"
    )
    empty = write_parquet(tmp_path / "a.parquet", text=["w01 w02", None])
    assert f"prompts {empty}, row 1\n  got:      text of type NoneType" in refused(empty, subject)


def test_data_set_folders(subject: Subject, tmp_path: Path) -> None:
    import datasets

    rows = {"input_ids": [[1, 2, 3], [4, 5, 6]]}
    table = datasets.Dataset.from_dict(rows)
    table.save_to_disk(tmp_path / "saved")
    datasets.DatasetDict({"train": table}).save_to_disk(tmp_path / "splits")
    (tmp_path / "files").mkdir()
    write_parquet(tmp_path / "files" / "part.parquet", **rows)
    for name in ("saved", "splits", "files"):
        prompts = load_prompts(tmp_path / name, subject, length=2, count=2)
        assert prompts.tokens.tolist() == [[1, 2], [4, 5]], name


def test_a_data_set_without_a_train_split(subject: Subject, tmp_path: Path) -> None:
    import datasets

    table = datasets.Dataset.from_dict({"text": ["w1"]})
    datasets.DatasetDict({"dev": table, "test": table}).save_to_disk(tmp_path / "splits")
    assert refused(tmp_path / "splits", subject) == (
        f"prompts {tmp_path / 'splits'}\n"
        "  got:      the splits ['dev', 'test']\n"
        "  expected: a split called train, or a single split\n"
        "  fix:      save the split you want in a folder of its own"
    )


def test_an_empty_folder(subject: Subject, tmp_path: Path) -> None:
    (tmp_path / "nothing").mkdir()
    message = refused(tmp_path / "nothing", subject)
    assert message.startswith(f"prompts {tmp_path / 'nothing'}\n")
    assert "expected: a data set that can be read, with a column text or input_ids" in message


def test_a_hub_data_set_needs_a_number_of_prompts(subject: Subject) -> None:
    assert refused("nobody/nothing", subject) == (
        "prompts nobody/nothing\n"
        "  got:      a data set of the hub without a number of prompts\n"
        "  expected: how many prompts to take\n"
        "  fix:      pass count"
    )


def test_a_hub_data_set_that_cannot_be_reached(
    subject: Subject, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("datasets.config.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    message = refused("nobody/nothing", subject, count=1)
    assert message.startswith("prompts nobody/nothing\n")
    assert "fix:      check the name and the network" in message


@pytest.mark.parametrize("package", ["datasets", "pyarrow"])
def test_a_missing_extra(
    subject: Subject, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, package: str
) -> None:
    source = (
        tmp_path if package == "datasets" else write_parquet(tmp_path / "a.parquet", text=["w"])
    )
    real = builtins.__import__

    def without(name: str, *arguments: Any, **options: Any) -> Any:
        if name.partition(".")[0] == package:
            raise ImportError(name)
        return real(name, *arguments, **options)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(MissingExtraError) as caught:
        load_prompts(source, subject)
    assert str(caught.value) == (
        f"prompts {source}\n"
        f"  got:      the package '{package}' is not installed\n"
        "  expected: an installation with the extra 'datasets'\n"
        "  fix:      pip install 'steppe[datasets]'"
    )
