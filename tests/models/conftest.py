from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import tokenizers
import torch
import transformers

from steppe.models import Model, load_model

N_VOCAB = 40


@pytest.fixture(scope="session")
def make_gpt2() -> Callable[..., Any]:
    """Build a tiny random GPT-2."""

    def make(**settings: Any) -> Any:
        torch.manual_seed(0)
        shape = {"n_layer": 2, "n_embd": 16, "n_head": 2, "vocab_size": N_VOCAB, "n_positions": 64}
        config = transformers.GPT2Config(
            **{**shape, "bos_token_id": 0, "eos_token_id": 0, **settings}
        )
        return transformers.GPT2LMHeadModel(config)

    return make


@pytest.fixture(scope="session")
def make_llama() -> Callable[[], Any]:
    """Build a tiny random Llama, whose normalisation is an RMSNorm."""

    def make() -> Any:
        torch.manual_seed(0)
        config = transformers.LlamaConfig(
            hidden_size=16,
            intermediate_size=24,
            num_hidden_layers=2,
            num_attention_heads=2,
            vocab_size=N_VOCAB,
            bos_token_id=0,
            eos_token_id=0,
        )
        return transformers.LlamaForCausalLM(config)

    return make


@pytest.fixture(scope="session")
def tokenizer() -> Any:
    """One token per word: ``w03`` is token 3; it would like to add token 0 in front."""
    words = {f"w{index:02d}": index for index in range(N_VOCAB)}
    core = tokenizers.Tokenizer(tokenizers.models.WordLevel(words, unk_token="w01"))
    core.pre_tokenizer = tokenizers.pre_tokenizers.Whitespace()
    core.post_processor = tokenizers.processors.TemplateProcessing(
        single="w00 $A", special_tokens=[("w00", 0)]
    )
    return transformers.PreTrainedTokenizerFast(
        tokenizer_object=core, unk_token="w01", bos_token="w00"
    )


@pytest.fixture(scope="session")
def saved(make_gpt2: Callable[..., Any], tokenizer: Any, tmp_path_factory: Any) -> Path:
    """A folder as transformers saves it, with a tokenizer."""
    folder: Path = tmp_path_factory.mktemp("saved") / "tiny-gpt2"
    make_gpt2().save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def model(saved: Path) -> Model:
    return load_model(saved)
