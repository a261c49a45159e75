"""OpenAI's sparse_autoencoder (GPT-2 small): ``LOCATION_VERSION/autoencoders/LAYER.pt``.

Top-k ones take inputs of mean 0 and standard deviation 1, and give the input's own back.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from steppe.sae.config import SaeConfig
from steppe.sae.formats.files import refusal, tensor_of
from steppe.sae.formats.found import (
    Found,
    count,
    in_name,
    not_residual,
    refuse_unread,
    residual_post,
    transposed,
    widths,
)

_FILE = r"(?:/(\w+?)(?:_v\d+\w*)?)?/autoencoders/(\d+)\.pt$"
_NAMES = {
    "W_enc": "encoder.weight",
    "b_enc": "latent_bias",
    "W_dec": "decoder.weight",
    "b_dec": "pre_bias",
}


def is_one(content: dict[str, Any]) -> bool:
    """Whether it is what their files hold."""
    return "pre_bias" in content and "latent_bias" in content


def read(place: Path, content: dict[str, Any]) -> Found:
    """Read what one layer's file holds.

    Raises:
        InputError: It is of another place than after a block, or of another activation function.
    """
    refuse_unread(content, (), place)
    tensors = {ours: tensor_of(content, theirs, place) for ours, theirs in _NAMES.items()}
    tensors |= {name: transposed(tensors[name]) for name in ("W_enc", "W_dec")}
    d_in, d_sae = widths(tensors["W_enc"], place)
    where = in_name(_FILE, place)
    if where is not None and where[1] not in (None, "resid_post_mlp"):
        raise not_residual(place, where[1], "resid_post_mlp is the stream after a block")
    activation = content.get("activation", "ReLU")
    is_top_k = activation == "TopK"
    state = content.get("activation_state_dict") or {}
    if not isinstance(state, dict):
        raise refusal(place, f"activation_state_dict, a {type(state).__name__}", "a dictionary")
    if activation not in ("ReLU", "TopK") or state.get("postact_fn", "ReLU") != "ReLU":
        got = f"activation {activation!r}, postact_fn {state.get('postact_fn')!r}"
        raise refusal(place, got, "ReLU, or TopK followed by ReLU", "choose another SAE")
    config = SaeConfig(
        architecture="topk" if is_top_k else "standard",
        d_in=d_in,
        d_sae=d_sae,
        hook_name=residual_post(where[2]) if where else None,
        normalize_activations="layer_norm" if is_top_k else "none",
        k=count(state, "k", place) if is_top_k else None,
        # Their models were not centred; a normalised input has no mean anyway.
        coordinates=None if is_top_k else "raw",
        model_name="gpt2-small",
    )
    return Found(config, tensors, place)
