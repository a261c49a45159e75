"""The untrained control of a subject: the same architecture, its weights drawn anew."""

from __future__ import annotations

import copy
from dataclasses import replace

import numpy as np
import torch
from transformers import AutoModelForCausalLM

from steppe.core.errors import InputError
from steppe.subject.anatomy import find_anatomy
from steppe.subject.as_it_lies import is_quantised, lies_as_it_is
from steppe.subject.half_precision import HALF, halve_matrices, loaded_format
from steppe.subject.model import Subject
from steppe.subject.weights import fingerprint, weights_sha256

# What came, and what to do.
_QUANTISED = (
    "a quantised model, whose control would compute in another way",
    "choose the model that it was quantised from",
)
_DISPATCHED = (
    "a model dispatched over devices, whose control would lie on one of them",
    "load it in one piece, without device_map",
)


def with_random_weights(subject: Subject, generator: np.random.Generator) -> Subject:
    """Draw a subject's weights anew, as its own configuration initialises them.

    Args:
        subject: Gives configuration, tokenizer, coordinates, device and number formats: in half
            precision the control's matrices are, and nothing else, as the subject's own.
        generator: Where the seed of the weights comes from.

    Raises:
        InputError: The subject is dispatched over devices or quantised.
    """
    if lies_as_it_is(subject.model):
        is_packed = is_quantised(subject.model)
        got, fix = _QUANTISED if is_packed else _DISPATCHED
        raise InputError(
            f"random weights for {subject.name}",
            got=got,
            expected="a model in one piece with weights of plain numbers",
            fix=f"{fix}, or measure parts without the control (only, where the study has it)",
        )
    config = copy.deepcopy(subject.model.config)
    dtype = loaded_format(subject.dtype)
    attention = config._attn_implementation
    # transformers draws from torch's own generator, whose state is put back afterwards. Weights are
    # drawn on the CPU, whatever device torch makes tensors on otherwise; `torch.manual_seed` would
    # seed the generators of all devices.
    with torch.random.fork_rng(devices=[]), torch.device("cpu"):
        torch.default_generator.manual_seed(int(generator.integers(2**63)))
        model = AutoModelForCausalLM.from_config(config, dtype=dtype, attn_implementation=attention)
    model = model.to(subject.device).eval()
    values, anatomy = fingerprint(model), find_anatomy(model)
    if subject.dtype in HALF:
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
