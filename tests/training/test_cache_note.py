"""A cached file is taken for what it was made of, and for nothing else."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from model_training.cache_note import digest, made_once
from model_training.corpus import load_or_train_tokenizer, read_books, token_stream
from model_training.language_model import Shape
from model_training.model_card import five_gram_losses


def write_once(path: Path, **origin: int) -> str:
    made_once(path, origin, lambda file: file.write_text(f"made of {origin}"))
    return path.read_text()


def test_it_is_made_once(tmp_path) -> None:
    path = tmp_path / "cache.txt"
    assert write_once(path, seed=1) == "made of {'seed': 1}"
    path.write_text("still there")
    assert write_once(path, seed=1) == "still there"


def test_one_of_another_origin_is_refused(tmp_path) -> None:
    path = tmp_path / "cache.txt"
    write_once(path, seed=1)
    with pytest.raises(ValueError, match=r"made of something else \(seed: 1 -> 2\)"):
        write_once(path, seed=2)
    path.unlink()
    assert write_once(path, seed=2) == "made of {'seed': 2}"


def test_one_without_a_note_is_taken_and_gets_one(tmp_path, capsys) -> None:
    path = tmp_path / "cache.txt"
    path.write_text("from before")
    assert write_once(path, seed=1) == "from before"
    assert "no note of what it was made of" in capsys.readouterr().err
    note = json.loads((tmp_path / "cache.txt.made_of.json").read_text())
    assert note == {"seed": 1, "assumed": True}
    assert write_once(path, seed=1) == "from before"
    with pytest.raises(ValueError, match="seed: 1 -> 2"):
        write_once(path, seed=2)


def test_a_digest_tells_where_pieces_end() -> None:
    assert digest(["ab", "c"]) != digest(["a", "bc"])
    assert digest(["ab"]) == digest([b"ab"])


def test_tokenizer_and_tokens_of_another_text_are_refused(tmp_path, text_files) -> None:
    books, others = read_books(text_files["train"]), read_books(text_files["held_out"])
    path, stream = tmp_path / "tokenizer.json", tmp_path / "tokens.npy"
    tokenizer = load_or_train_tokenizer(path, books, 300)
    with pytest.raises(ValueError, match="text_sha256"):
        load_or_train_tokenizer(path, others, 300)
    with pytest.raises(ValueError, match="vocabulary: 300 -> 290"):
        load_or_train_tokenizer(path, books, 290)
    token_stream(stream, books, tokenizer)
    with pytest.raises(ValueError, match="text_sha256"):
        token_stream(stream, others, tokenizer)
    other = load_or_train_tokenizer(tmp_path / "other.json", books, 290)
    with pytest.raises(ValueError, match="tokenizer_sha256"):
        token_stream(stream, books, other)


def test_five_gram_losses_of_other_tokens_are_refused(tmp_path, text_files) -> None:
    books = read_books(text_files["held_out"])
    tokenizer = load_or_train_tokenizer(tmp_path / "tokenizer.json", books, 300)
    tokens = token_stream(tmp_path / "tokens.npy", books, tokenizer)
    run = SimpleNamespace(
        settings=SimpleNamespace(shape=Shape(vocabulary=300)), tokenizer=tokenizer
    )
    streams = {"train": tokens, "held_out": tokens}
    cache = tmp_path / "five_gram.json"
    losses = five_gram_losses(cache, run, streams)
    assert five_gram_losses(cache, run, streams) == losses
    with pytest.raises(ValueError, match="held_out_tokens_sha256"):
        five_gram_losses(cache, run, streams | {"held_out": np.roll(tokens, 1)})
