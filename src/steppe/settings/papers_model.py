"""The model of the published studies, GPT-2 small (124M), known by its weights, not by its name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

# What it is called on the hub.
NAMES = ("gpt2", "openai-community/gpt2")
# sha256 of model.safetensors there, as the hub shows it (548,105,171 bytes).
FILE_SHA256 = "248dfc3911869ec493c76e65bf2fcf7f615828b0254c12b473182f0f81d3a707"
# sha256 of the parameters' float32 values in order of name, which is that of OpenAI's own
# model.ckpt.data-00000-of-00001 (497,759,232 bytes): the same however they are saved anew.
FINGERPRINT = "2060c885360cc0cf41d7a6dbc4d24b5127aae20260c8b5ae521b5a6578407118"
_SHAPE = {"model_type": "gpt2", "n_layer": 12, "n_embd": 768, "n_head": 12, "vocab_size": 50257}


def has_papers_shape(config: Mapping[str, Any]) -> bool:
    """Whether a model with this config.json can be GPT-2 small; its weights decide."""
    return all(config.get(key) == value for key, value in _SHAPE.items())


def is_papers_model(identity: Mapping[str, Any]) -> bool:
    """Whether weights are GPT-2 small's.

    Args:
        identity: Of a model, as plain data: its ``fingerprint`` and ``file_sha256``.
    """
    known = identity.get("fingerprint") == FINGERPRINT
    return known or identity.get("file_sha256") == FILE_SHA256
