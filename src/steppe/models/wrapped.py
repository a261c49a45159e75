"""The transformers model inside of another library's model object."""

from __future__ import annotations

from typing import Any

import torch
from transformers import PreTrainedModel

from steppe.core.errors import InputError
from steppe.models.mode import evaluating

# What TransformerLens' bridge puts into the names of modules that it has wrapped.
_WRAPPED = "._original_component"
_TOKENS = 5
_SAME = 1e-3


def unwrapped(source: Any) -> PreTrainedModel:
    """Return the transformers model that an object is or holds.

    A TransformerBridge of TransformerLens has put modules of its own around those of its model; a
    model of the same weights, which are shared, is returned without them.

    Args:
        source: A model of transformers, or an object that holds one as ``original_model``.

    Raises:
        InputError: It holds none, as a HookedTransformer, or one whose weights were processed.
    """
    hf_model = source if isinstance(source, PreTrainedModel) else _held(source)
    state = hf_model.state_dict()
    if not any(_WRAPPED in name for name in state):
        return hf_model
    with torch.random.fork_rng(devices=[]):
        plain = type(hf_model)(hf_model.config)
    renamed = {name.replace(_WRAPPED, ""): tensor for name, tensor in state.items()}
    known = {name: tensor for name, tensor in renamed.items() if name in plain.state_dict()}
    plain.load_state_dict(known, strict=False, assign=True)
    plain.tie_weights()
    plain.eval()
    tokens = torch.arange(_TOKENS, device=hf_model.device)[None]
    with torch.inference_mode(), evaluating(hf_model):
        own, ours = (one(input_ids=tokens).logits.float() for one in (hf_model, plain))
    if not bool((own - ours).abs().max() <= _SAME * own.abs().max()):
        raise InputError(
            f"model object {type(source).__name__}",
            got="weights that were processed: as a plain model they give other logits",
            expected="the weights of a transformers model as they were loaded",
            fix="boot it without enable_compatibility_mode(), or give the model's hub id or folder",
        )
    return plain


def _held(source: Any) -> PreTrainedModel:
    hf_model = getattr(source, "original_model", None)
    if isinstance(hf_model, PreTrainedModel):
        return hf_model
    name = getattr(getattr(source, "cfg", None), "tokenizer_name", None)
    own = f", here load_model({name!r})" if isinstance(name, str) else ""
    raise InputError(
        f"model object {type(source).__name__}",
        got="an object that is no model of transformers and holds none",
        expected="a model of transformers, a TransformerBridge, a hub id or a folder",
        fix=f"load the model by its hub id or folder{own}",
    )
