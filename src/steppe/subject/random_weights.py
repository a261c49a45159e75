"""What would an untrained subject do? The same architecture, its weights drawn anew: a control."""

from __future__ import annotations

import copy
from dataclasses import replace

import numpy as np
import torch
from transformers import AutoModelForCausalLM

from steppe.subject.anatomy import find_anatomy
from steppe.subject.model import Subject
from steppe.subject.weights import fingerprint, weights_sha256


def with_random_weights(subject: Subject, generator: np.random.Generator) -> Subject:
    """Draw a subject's weights anew, as its own configuration initialises them.

    Args:
        subject: Gives configuration, tokenizer, coordinates, device and number format.
        generator: Where the seed of the weights comes from.
    """
    config = copy.deepcopy(subject.model.config)
    # transformers draws from torch's own generator, whose state is put back afterwards.
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(int(generator.integers(2**63)))
        model = AutoModelForCausalLM.from_config(
            config, dtype=subject.dtype, attn_implementation=config._attn_implementation
        )
    model = model.to(subject.device).eval()
    identity = replace(
        subject.identity,
        name=f"{subject.name} with random weights",
        source="drawn",
        revision=None,
        sha256=weights_sha256(model),
        fingerprint=fingerprint(model),
        file_sha256=None,
    )
    return replace(subject, model=model, anatomy=find_anatomy(model), identity=identity)
