"""A folder is read as its files are; sources that are none are refused."""

from __future__ import annotations

import builtins
import json
from pathlib import Path
from typing import Any

import pyarrow
import pytest
from pyarrow import parquet

from steppe.core.errors import InputError, MissingExtraError
from steppe.models import Model, load_prompts


def refused(source: Any, model: Model, **options: Any) -> str:
    with pytest.raises(InputError) as caught:
        load_prompts(source, model, **options)
    return str(caught.value)


def write_parquet(path: Path, **columns: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    parquet.write_table(pyarrow.table(columns), path)
    return path


@pytest.mark.parametrize("name", ["./none.txt", "none.jsonl", "/none", "~/none.parquet"])
def test_a_missing_file(model: Model, name: str) -> None:
    assert "no such file or folder" in refused(name, model)


@pytest.mark.parametrize("name", ["prompts.docx", "prompts", "prompts.zip", "prompts.parquet.bz2"])
def test_a_file_of_another_kind(model: Model, tmp_path: Path, name: str) -> None:
    (tmp_path / name).touch()
    assert f"a file of another kind, {name}" in refused(tmp_path / name, model)


def test_a_folder_of_texts_is_read_as_each_text_is(model: Model, tmp_path: Path) -> None:
    (tmp_path / "b.txt").write_text("w05\nw06 w07\n\nw08")
    (tmp_path / "a.TXT").write_text("w01 w02\nw03")
    (tmp_path / ".hidden.txt").write_text("w09 w09")
    (tmp_path / "README.md").write_text("w09 w09")
    single = [load_prompts(tmp_path / name, model, length=2) for name in ("a.TXT", "b.txt")]
    whole = load_prompts(tmp_path, model, length=2)
    assert whole.tokens.tolist() == [[1, 2], [5, 6], [7, 8]]
    assert whole.tokens.tolist() == [row for one in single for row in one.tokens.tolist()]


def test_folders_of_rows(model: Model, tmp_path: Path) -> None:
    write_parquet(tmp_path / "data" / "part-1.parquet", input_ids=[[4, 5, 6]])
    write_parquet(tmp_path / "data" / "part-0.parquet", input_ids=[[1, 2, 3]])
    (tmp_path / "dataset_infos.json").write_text("{}")
    assert load_prompts(tmp_path, model, length=2).tokens.tolist() == [[1, 2], [4, 5]]


def test_the_train_split_of_a_folder(model: Model, tmp_path: Path) -> None:
    write_parquet(tmp_path / "test-0.parquet", input_ids=[[1, 2]])
    write_parquet(tmp_path / "train-0.parquet", input_ids=[[3, 4]])
    assert load_prompts(tmp_path, model, length=2).tokens.tolist() == [[3, 4]]
    (tmp_path / "train-0.parquet").rename(tmp_path / "validation.parquet")
    assert "the splits ['test', 'validation']" in refused(tmp_path, model)


@pytest.mark.parametrize("more", ["night_train.txt", "meta.json", "rows.csv"])
def test_no_file_of_a_folder_is_left_out_unsaid(model: Model, tmp_path: Path, more: str) -> None:
    for name in ("a.txt", "b.txt"):
        (tmp_path / name).write_text("w01 w02 w03")
    (tmp_path / "LICENSE.txt").write_text("w09 w09")
    (tmp_path / more).write_text("[]")
    assert "give the folder that holds those that are meant" in refused(tmp_path, model)


def test_bad_rows_of_a_folder_are_counted_together(model: Model, tmp_path: Path) -> None:
    good = json.dumps({"text": "w01 w02"}) + "\n"
    (tmp_path / "a.jsonl").write_text(good * 10 + "{\n")
    (tmp_path / "b.jsonl").write_text(good * 90)
    found = load_prompts(tmp_path, model, length=2)
    assert (found.rows, found.skipped) == (101, 1)


def test_saved_data_sets(model: Model, tmp_path: Path) -> None:
    import datasets

    table = datasets.Dataset.from_dict({"input_ids": [[1, 2, 3], [4, 5, 6]]})
    table.save_to_disk(tmp_path / "saved")
    datasets.DatasetDict({"train": table}).save_to_disk(tmp_path / "splits")
    for name in ("saved", "splits"):
        prompts = load_prompts(tmp_path / name, model, length=2, count=2)
        assert prompts.tokens.tolist() == [[1, 2], [4, 5]], name


def test_a_data_set_without_a_train_split(model: Model, tmp_path: Path) -> None:
    import datasets

    table = datasets.Dataset.from_dict({"text": ["w1"]})
    datasets.DatasetDict({"dev": table, "test": table}).save_to_disk(tmp_path / "splits")
    assert "the splits ['dev', 'test']" in refused(tmp_path / "splits", model)


def test_an_empty_folder(model: Model, tmp_path: Path) -> None:
    assert "a folder without a file that can be read" in refused(tmp_path, model)


def test_a_hub_data_set_needs_a_number_of_prompts(model: Model) -> None:
    assert "without a number of prompts" in refused("nobody/nothing", model)


def test_a_hub_data_set_that_cannot_be_reached(
    model: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("datasets.config.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    message = refused("nobody/nothing", model, count=1)
    assert message.startswith("prompts nobody/nothing\n")
    assert "check the name and the network" in message


def test_rows_of_the_hub_are_streamed_once(
    model: Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import datasets

    streamed: list[int] = []

    def rows() -> Any:
        for number in range(6):
            streamed.append(number)
            yield {"text": f"w{number:02d} w07", "other": b"of no JSON"}

    def load(*_args: Any, **_options: Any) -> Any:
        return {"train": datasets.IterableDataset.from_generator(rows)}

    monkeypatch.setattr("huggingface_hub.constants.HF_HOME", str(tmp_path))
    monkeypatch.setattr(datasets, "load_dataset", load)

    def take(commit: str, count: int | None, limit: int = 9) -> list[list[int]]:
        options = {"length": 2, "count": count, "limit": limit, "revision": commit * 40}
        return load_prompts("a/b", model, **options).tokens.tolist()

    assert take("1", 3) == take("1", 3) == [[0, 7], [1, 7], [2, 7]]
    assert streamed == [0, 1, 2]
    assert take("1", 2) == [[0, 7], [1, 7]]
    monkeypatch.setattr(datasets, "load_dataset", lambda *_a, **_o: pytest.fail("streamed again"))
    assert len(take("1", 3)) == 3  # fewer rows that were asked for left the others in place
    monkeypatch.setattr(datasets, "load_dataset", load)
    assert take("1", None) == [[number, 7] for number in range(6)]
    monkeypatch.setattr(datasets, "load_dataset", lambda *_a, **_o: pytest.fail("streamed again"))
    assert take("1", None) == [[number, 7] for number in range(6)]  # and where they end
    monkeypatch.setattr(datasets, "load_dataset", load)
    streamed.clear()
    assert take("2", 1) == [[0, 7]]  # another commit has rows of its own
    assert streamed == [0]
    assert not [path for path in tmp_path.rglob("*") if path.is_file() and path.suffix != ".jsonl"]


def test_rows_of_the_hub_that_are_no_json_are_streamed_as_before(
    model: Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import datasets

    table = datasets.Dataset.from_dict({"text": [b"w01 w02", b"w03 w04"]})
    monkeypatch.setattr("huggingface_hub.constants.HF_HOME", str(tmp_path))
    monkeypatch.setattr(datasets, "load_dataset", lambda *_a, **_o: table.to_iterable_dataset())
    first = refused("a/b", model, count=1, length=2, revision="1" * 40)
    assert "of type bytes" in first
    assert refused("a/b", model, count=1, length=2, revision="1" * 40) == first
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


def test_datasets_is_missing(model: Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def without(name: str, *arguments: Any, **options: Any) -> Any:
        if name == "datasets":
            raise ImportError(name)
        return real(name, *arguments, **options)

    (tmp_path / "dataset_info.json").touch()
    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(MissingExtraError, match=r"pip install 'steppe\[datasets\]'"):
        load_prompts(tmp_path, model)
