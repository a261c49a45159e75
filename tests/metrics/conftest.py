from __future__ import annotations

import pytest
import torch
import transformers

from steppe.models import Model, load_model


@pytest.fixture(scope="session")
def model() -> Model:
    """A tiny random GPT-2."""
    config = transformers.GPT2Config(
        n_layer=3,
        n_embd=24,
        n_head=2,
        vocab_size=89,
        n_positions=32,
        bos_token_id=0,
        eos_token_id=0,
    )
    torch.manual_seed(0)
    hf_model = transformers.GPT2LMHeadModel(config)
    with torch.no_grad():
        for parameter in hf_model.parameters():
            parameter.mul_(6.0)
    return load_model(hf_model.eval())
