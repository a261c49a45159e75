"""A text that is read in pieces has the tokens of the whole text."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import tokenizers
import transformers

from steppe.core.bundled import demo_model
from steppe.models.tokenising import tokenise


def sentencepiece_like(tokenizer: Any) -> Any:
    """A space in front of every text, as Llama 2's and Mistral's tokenizers put it."""
    core = tokenizers.Tokenizer(tokenizers.models.BPE(unk_token="?"))
    core.pre_tokenizer = tokenizers.pre_tokenizers.Metaspace(prepend_scheme="always", split=True)
    trainer = tokenizers.trainers.BpeTrainer(special_tokens=["?"], show_progress=False)
    core.train_from_iterator(["in the beginning was the word, and  the word was\nthe end"], trainer)
    return transformers.PreTrainedTokenizerFast(tokenizer_object=core, unk_token="?")


def byte_level(tokenizer: Any) -> Any:
    return transformers.AutoTokenizer.from_pretrained(demo_model())


def text_of(kind: str) -> str:
    chooser = np.random.default_rng(0)
    gaps = {"prose": [" ", " ", " ", "\n", ", ", "\n\n", "  "], "lines": ["\n"], "none": [""]}
    words = chooser.choice(["in", "the", "beginning", "was", "word", "end.", "Käse"], 1_000)
    between = chooser.choice(gaps[kind], 1_000)
    return "".join(itertools.chain.from_iterable(zip(words, between, strict=True)))


@pytest.mark.parametrize("make", [byte_level, sentencepiece_like])
def test_the_tokens_of_the_whole(
    tokenizer: Any, monkeypatch: pytest.MonkeyPatch, make: Callable[[Any], Any]
) -> None:
    monkeypatch.setattr("steppe.models.tokenising.PIECE", 128)
    own, text = make(tokenizer), text_of("prose")
    parts = [text[start : start + 50] for start in range(0, len(text), 50)]
    pieces = list(tokenise(own, parts))
    assert len(pieces) > 25
    assert np.concatenate(pieces).tolist() == own(text, add_special_tokens=False)["input_ids"]


def test_a_text_without_spaces_is_cut_at_line_ends(
    tokenizer: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("steppe.models.tokenising.PIECE", 64)
    own, text = byte_level(tokenizer), text_of("lines")
    found = np.concatenate(list(tokenise(own, [text])))
    assert found.tolist() == own(text, add_special_tokens=False)["input_ids"]


def test_one_endless_word_is_cut_all_the_same(
    tokenizer: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("steppe.models.tokenising.PIECE", 64)
    text = text_of("none")
    pieces = list(tokenise(byte_level(tokenizer), [text]))
    assert len(pieces) == -(-len(text) // 64) - 1  # the last holds up to two
