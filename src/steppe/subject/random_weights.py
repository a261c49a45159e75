"""The untrained control of a subject: the same architecture, its weights drawn anew."""

from __future__ import annotations

import copy
from dataclasses import replace

import numpy as np
import torch
from transformers import AutoModelForCausalLM

from steppe.core.errors import InputError
from steppe.subject.anatomy import find_anatomy
from steppe.subject.as_it_lies import is_dispatched, is_quantised
from steppe.subject.half_precision import HALF, halve_matrices, loaded_format
from steppe.subject.model import Subject
from steppe.subject.weights import fingerprint, weights_sha256


def with_random_weights(subject: Subject, generator: np.random.Generator) -> Subject:
    """Draw a subject's weights anew, as its own configuration initialises them.

    Args:
        subject: Gives configuration, tokenizer, coordinates, device and number formats: in half
            precision the control's matrices are, and nothing else, as the subject's own.
        generator: Where the seed of the weights comes from.

    Raises:
        InputError: The subject is quantised.
    """
    if is_quantised(subject.model):
        raise InputError(
            f"random weights for {subject.name}",
            got="a quantised model, whose control would compute in another way",
            expected="a model with weights of plain numbers",
            fix="choose the model that it was quantised from, or leave the control out",
        )
    config = copy.deepcopy(subject.model.config)
    is_whole = is_dispatched(subject.model)
    dtype = subject.dtype if is_whole else loaded_format(subject.dtype)
    attention = config._attn_implementation
    # transformers draws from torch's own generator, whose state is put back afterwards. Weights are
    # drawn on the CPU, whatever device torch makes tensors on otherwise; `torch.manual_seed` would
    # seed the generators of all devices.
    with torch.random.fork_rng(devices=[]), torch.device("cpu"):
        torch.default_generator.manual_seed(int(generator.integers(2**63)))
        model = AutoModelForCausalLM.from_config(config, dtype=dtype, attn_implementation=attention)
    model = model.to(subject.device).eval()
    values, anatomy = fingerprint(model), find_anatomy(model)
    if subject.dtype in HALF and not is_whole:
        halve_matrices(anatomy.blocks, subject.dtype)
    identity = replace(
        subject.identity,
        name=f"{subject.name} with random weights",
        source="drawn",
        revision=None,
        sha256=weights_sha256(model),
        fingerprint=values,
        file_sha256=None,
    )
    return replace(subject, model=model, anatomy=anatomy, identity=identity)
