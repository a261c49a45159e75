from __future__ import annotations

import pytest
import torch
import transformers

from steppe.subject import Subject, load_subject


@pytest.fixture(scope="session")
def subject() -> Subject:
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
    model = transformers.GPT2LMHeadModel(config)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(6.0)
    return load_subject(model.eval())
