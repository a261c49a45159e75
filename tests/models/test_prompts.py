from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import save_file

from steppe.core.errors import InputError
from steppe.models import Model, load_model, load_prompts


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
    model: Model, text: Path
) -> None:
    prompts = load_prompts(text, model, length=3)
    assert prompts.tokens.dtype == np.int64
    # The tokenizer alone would put w00 in front; the tail of two tokens is dropped.
    assert prompts.tokens.tolist() == [[0, 1, 2], [3, 4, 5], [6, 7, 8]]
    assert prompts.source == str(text)
    assert len(prompts) == 3


def test_the_hash_follows_the_tokens_and_their_shape(model: Model, text: Path) -> None:
    three = load_prompts(text, model, length=3)
    assert load_prompts(text, model, length=3).sha256 == three.sha256
    assert load_prompts(text, model, length=3, count=2).sha256 != three.sha256
    assert load_prompts(text, model, length=9, count=1).sha256 != three.sha256


def test_windows_do_not_cross_documents(model: Model, tmp_path: Path) -> None:
    path = write_jsonl(
        tmp_path / "prompts.jsonl", {"text": words(1, 2, 3, 4, 5)}, {"text": words(6, 7, 8)}
    )
    assert load_prompts(path, model, length=2).tokens.tolist() == [[1, 2], [3, 4], [6, 7]]


def test_rows_of_token_ids_give_one_prompt_each(model: Model, tmp_path: Path) -> None:
    rows = [[1, 2, 3, 4], [5, 6, 7]]
    jsonl = write_jsonl(tmp_path / "rows.jsonl", *({"input_ids": row} for row in rows))
    parquet = write_parquet(tmp_path / "rows.parquet", input_ids=rows, text=["ignored"] * 2)
    for path in (jsonl, parquet):
        assert load_prompts(path, model, length=3).tokens.tolist() == [[1, 2, 3], [5, 6, 7]]


def test_parquet_text(model: Model, tmp_path: Path) -> None:
    path = write_parquet(tmp_path / "rows.parquet", text=[words(1, 2), words(3, 4)])
    assert load_prompts(path, model, length=2).tokens.tolist() == [[1, 2], [3, 4]]


def test_count_takes_the_first_and_limit_what_there_is(model: Model, text: Path) -> None:
    assert load_prompts(text, model, length=3, count=2).tokens.tolist() == [[0, 1, 2], [3, 4, 5]]
    assert len(load_prompts(text, model, length=3, limit=2)) == 2
    assert len(load_prompts(text, model, length=3, limit=100)) == 3


def test_bundled_prompts(
    saved: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: Path
) -> None:
    file = tmp_path / "prompts.safetensors"
    windows = np.arange(30, dtype=np.int32).reshape(3, 10)
    sequences = np.tile(np.arange(32, dtype=np.int32), 8).reshape(2, 128)
    save_file({"windows_10": windows, "sequences_128": sequences}, file)
    monkeypatch.setattr("steppe.models.prompts.demo_prompts", lambda: file)
    monkeypatch.setattr("steppe.models.model.demo_model", lambda: saved)
    demo = load_model("demo")
    assert load_prompts(None, demo).tokens.tolist() == windows.tolist()
    assert load_prompts("demo", demo, length=12).tokens.tolist() == sequences[:, :12].tolist()
    assert load_prompts(None, demo, count=1).source == "demo"
    assert load_prompts(text, demo, length=3).source == str(text)


def test_other_models_have_no_prompts_of_their_own(model: Model) -> None:
    assert "none, for the model tiny-gpt2" in refused(None, model)


def test_bundled_prompts_are_not_longer_than_they_are(
    make_gpt2: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "prompts.safetensors"
    tokens = np.zeros((2, 128), dtype=np.int32)
    save_file({"windows_10": tokens[:, :10], "sequences_128": tokens}, file)
    monkeypatch.setattr("steppe.models.prompts.demo_prompts", lambda: file)
    model = load_model(make_gpt2(n_positions=256))
    assert refused("demo", model, length=129) == (
        "length\n"
        "  got:      129\n"
        "  expected: at most 128 for the bundled prompts\n"
        "  fix:      use shorter prompts, or a file of your own"
    )


def test_an_empty_file(model: Model, tmp_path: Path) -> None:
    for name in ("empty.txt", "empty.jsonl"):
        path = tmp_path / name
        path.write_text("")
        assert refused(path, model) == (
            f"prompts {path}\n"
            "  got:      0 prompts of 10 tokens\n"
            "  expected: at least 1\n"
            "  fix:      use a larger source, shorter prompts or fewer of them"
        )


def test_fewer_prompts_than_asked(model: Model, text: Path) -> None:
    assert refused(text, model, length=3, count=4) == (
        f"prompts {text}\n"
        "  got:      3 prompts of 3 tokens\n"
        "  expected: at least 4\n"
        "  fix:      use a larger source, shorter prompts or fewer of them"
    )


def test_a_row_shorter_than_asked(model: Model, tmp_path: Path) -> None:
    path = write_jsonl(tmp_path / "a.jsonl", {"input_ids": [1, 2, 3]}, {"input_ids": [1, 2]})
    message = refused(path, model, length=3)
    assert f"prompts {path}, line 2\n  got:      a row of 2 tokens" in message
    assert "1 of 2 rows cannot be used" in message


@pytest.mark.parametrize("token", [40, -1])
def test_tokens_out_of_the_vocabulary(model: Model, tmp_path: Path, token: int) -> None:
    path = write_parquet(tmp_path / "a.parquet", input_ids=[[1, 2, 3], [1, token, 3]])
    assert refused(path, model, length=3) == (
        f"prompts {path}, prompt 1, position 1\n"
        f"  got:      token id {token}\n"
        "  expected: 0 to 39, the vocabulary of tiny-gpt2 (local folder)\n"
        "  fix:      tokenise the prompts with this model's own tokenizer"
    )


def test_text_without_a_tokenizer(make_gpt2: Callable[..., Any], text: Path) -> None:
    assert refused(text, load_model(make_gpt2())) == (
        f"prompts {text}\n"
        "  got:      text, for the model GPT2LMHeadModel which has no tokenizer\n"
        "  expected: a model with a tokenizer, or prompts of token ids (input_ids)\n"
        "  fix:      pass tokenizer= to load_model, or tokenise the prompts beforehand"
    )


@pytest.mark.parametrize(("length", "got"), [(0, "0"), (65, "65")])
def test_impossible_lengths(model: Model, text: Path, length: int, got: str) -> None:
    assert refused(text, model, length=length) == (
        "length\n"
        f"  got:      {got}\n"
        "  expected: 1 to 64, the context length\n"
        "  fix:      choose how many tokens a prompt has"
    )


def test_impossible_counts(model: Model, text: Path) -> None:
    assert refused(text, model, count=0) == (
        "count\n"
        "  got:      0\n"
        "  expected: 1 or more\n"
        "  fix:      choose how many prompts to load, or leave count out to load all"
    )


def test_no_more_of_a_text_is_read_than_its_prompts_need(model: Model, tmp_path: Path) -> None:
    path = tmp_path / "long.txt"
    with path.open("wb") as file:
        file.write(b"w01 w02 w03 " * 100_000)
        # Reading so far would be refused.
        file.write(b"\xff")
    assert load_prompts(path, model, length=3, limit=200).tokens.tolist() == [[1, 2, 3]] * 200
    with pytest.raises(InputError, match="bytes that are not UTF-8"):
        load_prompts(path, model, length=3)


def test_equal_prompts_are_counted(model: Model, tmp_path: Path) -> None:
    rows = [[1, 2], [3, 4], [1, 2], [1, 2]]
    path = write_jsonl(tmp_path / "a.jsonl", *({"input_ids": row} for row in rows))
    assert load_prompts(path, model, length=2).equal_share == 0.5


def test_bos_is_one_of_the_tokens_of_a_prompt(model: Model, tmp_path: Path, text: Path) -> None:
    assert load_prompts(text, model, length=4, bos=True).tokens.tolist() == [
        [0, 1, 2, 3],  # the text begins with BOS, and gets no second
        [0, 4, 5, 6],
        [0, 7, 8, 9],
    ]
    rows = [[1, 2, 3], [0, 1, 2]]
    path = write_jsonl(tmp_path / "a.jsonl", *({"input_ids": row} for row in rows))
    found = load_prompts(path, model, length=3, bos=True)
    assert found.tokens.tolist() == [[0, 1, 2], [0, 1, 2]]
    assert found.sha256 != load_prompts(path, model, length=3).sha256
    # One token less of the source is enough.
    assert load_prompts(path, model, length=4, bos=True, max_bad_rows=0.5).tokens.tolist() == [
        [0, 1, 2, 3]
    ]


def test_the_checksum_is_of_the_tokens_with_bos(model: Model, tmp_path: Path) -> None:
    path = write_jsonl(tmp_path / "a.jsonl", {"input_ids": [1, 2, 3]})
    ready = write_jsonl(tmp_path / "b.jsonl", {"input_ids": [0, 1, 2]})
    with_bos = load_prompts(path, model, length=3, bos=True)
    assert with_bos.sha256 == load_prompts(ready, model, length=3).sha256


def test_bos_that_there_is_not(make_gpt2: Callable[..., Any], text: Path, model: Model) -> None:
    without = load_model(make_gpt2(bos_token_id=None))
    assert "has no beginning-of-sequence token" in refused(text, without, bos=True)
    assert "1, with BOS" in refused(text, model, length=1, bos=True)
