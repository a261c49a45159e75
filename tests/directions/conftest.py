"""A tiny model without a tokenizer, and prompts of token ids."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from transformers import GPT2Config, GPT2LMHeadModel

from steppe.directions import Pairs
from steppe.models import Model, load_model

WIDTH, VOCABULARY = 16, 64
SITE = "blocks.0.hook_resid_post"


@pytest.fixture(scope="session")
def model() -> Model:
    torch.manual_seed(0)
    config = GPT2Config(
        vocab_size=VOCABULARY, n_positions=32, n_embd=WIDTH, n_layer=3, n_head=2,
        initializer_range=0.4, bos_token_id=0, eos_token_id=0,
    )  # fmt: skip
    return load_model(GPT2LMHeadModel(config).eval(), device="cpu")


@pytest.fixture(scope="session")
def tokens() -> torch.Tensor:
    return torch.randint(VOCABULARY, (12, 6), generator=torch.Generator().manual_seed(1))


@pytest.fixture(scope="session")
def pairs() -> Pairs:
    """Six pairs of prompts of 3 to 6 tokens; the sides end in different tokens."""
    generator = torch.Generator().manual_seed(2)
    found: list[tuple[Any, Any]] = []
    for number in range(6):
        length = 3 + number % 4
        one, two = torch.randint(VOCABULARY, (2, length), generator=generator).tolist()
        found.append(([*one, 7], [*two, 9]))
    return Pairs.of(found, "sevens")
