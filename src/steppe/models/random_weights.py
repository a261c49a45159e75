"""The untrained control of a model: the same architecture, its weights drawn anew."""

from __future__ import annotations

import copy
from dataclasses import replace

import numpy as np
import torch
from transformers import AutoModelForCausalLM

from steppe.core.errors import InputError
from steppe.models.anatomy import find_anatomy
from steppe.models.as_it_lies import is_quantised, lies_as_it_is
from steppe.models.half_precision import HALF, halve_matrices, loaded_format
from steppe.models.model import Model
from steppe.models.weights import fingerprint, weights_sha256

# What came, and what to do.
_QUANTISED = (
    "a quantised model, whose control would compute in another way",
    "choose the model that it was quantised from",
)
_DISPATCHED = (
    "a model dispatched over devices, whose control would lie on one of them",
    "load it in one piece, without device_map",
)


def with_random_weights(model: Model, generator: np.random.Generator) -> Model:
    """Draw a model's weights anew, as its own configuration initialises them.

    Args:
        model: Gives configuration, tokenizer, coordinates, device and number formats: in half
            precision the control's matrices are, and nothing else, as the model's own.
        generator: Where the seed of the weights comes from.

    Raises:
        InputError: The model is dispatched over devices or quantised.
    """
    if lies_as_it_is(model.hf_model):
        is_packed = is_quantised(model.hf_model)
        got, fix = _QUANTISED if is_packed else _DISPATCHED
        raise InputError(
            f"random weights for {model.name}",
            got=got,
            expected="a model in one piece with weights of plain numbers",
            fix=f"{fix}, or measure parts without the control (only, where the study has it)",
        )
    config = copy.deepcopy(model.hf_model.config)
    dtype = loaded_format(model.dtype)
    attention = config._attn_implementation
    # transformers draws from torch's own generator, whose state is put back afterwards. Weights are
    # drawn on the CPU, whatever device torch makes tensors on otherwise; `torch.manual_seed` would
    # seed the generators of all devices.
    with torch.random.fork_rng(devices=[]), torch.device("cpu"):
        torch.default_generator.manual_seed(int(generator.integers(2**63)))
        hf_model = AutoModelForCausalLM.from_config(
            config, dtype=dtype, attn_implementation=attention
        )
    hf_model = hf_model.to(model.device).eval()
    values, anatomy = fingerprint(hf_model), find_anatomy(hf_model)
    if model.dtype in HALF:
        halve_matrices(anatomy.blocks, model.dtype)
    identity = replace(
        model.identity,
        name=f"{model.name} with random weights",
        source="drawn",
        revision=None,
        sha256=weights_sha256(hf_model),
        fingerprint=values,
        file_sha256=None,
    )
    return replace(model, hf_model=hf_model, anatomy=anatomy, identity=identity)
