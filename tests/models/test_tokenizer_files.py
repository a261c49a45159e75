from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

from steppe.core.errors import InputError
from steppe.models import load_model
from steppe.models import tokenizer_files as module

TEXT = "In 2024, don't pay 1,234.50 for 12345 prices"


def byte_level() -> Tokenizer:
    """GPT-2's kind of tokenizer, with numbers of up to four digits as tokens."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=300,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        special_tokens=["<|endoftext|>"],
    )
    tokenizer.train_from_iterator([f"{TEXT} 2024 1234 123 12"] * 5, trainer)
    return tokenizer


def write(folder: Path, tokenizer: Tokenizer, hf_model: Any, **settings: Any) -> None:
    hf_model.save_pretrained(folder)
    tokenizer.save(str(folder / "tokenizer.json"))
    if settings:
        (folder / "tokenizer_config.json").write_text(json.dumps(settings))


def ids(folder: Path) -> list[int]:
    found = load_model(folder).tokenizer
    assert found is not None
    tokens: list[int] = found(TEXT, add_special_tokens=False)["input_ids"]
    return tokens


@pytest.mark.parametrize("family", ["gpt2", "gpt_neo", "opt", "starcoder2", "qwen2", "llama"])
def test_the_file_decides_how_texts_are_split(
    make_gpt2: Callable[..., Any], tmp_path: Path, family: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    tokenizer = byte_level()
    plain = tokenizer.encode(TEXT).ids
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Digits(individual_digits=True), tokenizer.pre_tokenizer]
    )
    write(tmp_path, tokenizer, make_gpt2(vocab_size=300))
    (tmp_path / "tokenizer_config.json").write_text("{}")
    config = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps(config | {"model_type": family}))
    expected = Tokenizer.from_file(str(tmp_path / "tokenizer.json")).encode(TEXT).ids
    assert expected != plain
    found = module.load_tokenizer(tmp_path, str(tmp_path), None)
    assert found is not None
    assert found(TEXT, add_special_tokens=False)["input_ids"] == expected


@pytest.mark.parametrize("label", ["GemmaTokenizer", "BertTokenizer", "T5Tokenizer", 3])
def test_a_wrong_label_does_not_matter_where_the_file_says_all(
    make_gpt2: Callable[..., Any], tmp_path: Path, label: Any
) -> None:
    tokenizer = byte_level()
    settings = {"tokenizer_class": label, "bos_token": "<|endoftext|>"}
    write(tmp_path, tokenizer, make_gpt2(vocab_size=300), **settings)
    assert ids(tmp_path) == tokenizer.encode(TEXT).ids
    assert load_model(tmp_path).bos_token_id == tokenizer.token_to_id("<|endoftext|>")


def test_a_class_that_reads_the_file_in_its_own_way_is_not_used(
    make_gpt2: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Own(module.PreTrainedTokenizerFast):  # type: ignore[misc]
        def __init__(self, *args: Any, **options: Any) -> None:
            super().__init__(*args, **options)
            if options.get("tokenizer_object") is None or "bos_token" not in options:
                self.backend_tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()

    tokenizer = byte_level()
    write(tmp_path, tokenizer, make_gpt2(vocab_size=300), bos_token="<|endoftext|>")
    read = Own.from_pretrained
    monkeypatch.setattr(module.PreTrainedTokenizerFast, "from_pretrained", read)
    assert ids(tmp_path) == tokenizer.encode(TEXT).ids


@pytest.mark.parametrize("content", ["{", "{}", '{"model": 3}', "[]"])
def test_a_file_that_describes_no_tokenizer(
    make_gpt2: Callable[..., Any], tmp_path: Path, content: str
) -> None:
    make_gpt2().save_pretrained(tmp_path)
    (tmp_path / "tokenizer.json").write_text(content)
    with pytest.raises(InputError, match="tokenizer in folder"):
        load_model(tmp_path)


def test_settings_of_another_type(make_gpt2: Callable[..., Any], tmp_path: Path) -> None:
    write(tmp_path, byte_level(), make_gpt2(vocab_size=300), bos_token=5)
    with pytest.raises(InputError, match="bos_token"):
        load_model(tmp_path)


def test_what_is_no_fault_of_the_file_passes(saved: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def load(*_args: Any, **_options: Any) -> None:
        raise MemoryError("no memory left")

    monkeypatch.setattr(module.PreTrainedTokenizerFast, "from_pretrained", load)
    with pytest.raises(MemoryError):
        load_model(saved)
