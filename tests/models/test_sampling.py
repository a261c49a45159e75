"""Texts that a model writes are the same for the same seed, and as many as asked for."""

from __future__ import annotations

import json

import pytest
import torch

from steppe.core.errors import InputError
from steppe.models import load_model
from steppe.models.sampling import sample_texts, write_texts


@pytest.fixture(scope="module")
def demo():
    return load_model("demo", device="cpu")


def test_texts_depend_on_the_seed_alone(demo) -> None:
    first = list(sample_texts(demo, 3, 6))
    before = torch.random.get_rng_state()
    again = list(sample_texts(demo, 5, 6))
    assert again[:3] == first
    assert torch.equal(torch.random.get_rng_state(), before)
    assert list(sample_texts(demo, 3, 6, seed=1)) != first
    assert len(set(again)) == 5
    assert all(len(demo.tokenizer(text).input_ids) >= 4 for text in again)


def test_more_than_a_batch(demo) -> None:
    texts = list(sample_texts(demo, 66, 2))
    assert len(texts) == 66
    assert texts[64:] != texts[:2]


def test_a_file_is_whole_or_not_there(demo, tmp_path, monkeypatch) -> None:
    file = tmp_path / "texts.jsonl"
    write_texts(demo, file, 2, 4, 0)
    assert [json.loads(line)["text"] for line in file.read_text().splitlines()] == list(
        sample_texts(demo, 2, 4)
    )
    with pytest.raises(InputError, match="choose another name"):
        write_texts(demo, file, 2, 4, 0)
    with pytest.raises(InputError, match=r"new \.jsonl file"):
        write_texts(demo, tmp_path / "texts.txt", 2, 4, 0)
    with pytest.raises(InputError, match="choose shorter texts"):
        write_texts(demo, tmp_path / "long.jsonl", 1, 100_000, 0)
    assert [path.name for path in tmp_path.iterdir()] == ["texts.jsonl"]
