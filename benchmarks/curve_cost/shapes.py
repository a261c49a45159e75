"""Models that can be timed without having them: random weights cost what trained ones do."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from benchmarks.random_files import random_model
from transformers import GPT2Config, GPTNeoXConfig, LlamaConfig

from steppe.core.engines import Engine
from steppe.models import Model, load_model
from steppe.models.loading import parse_device

_SMALL = {
    "hidden_size": 768,
    "num_hidden_layers": 12,
    "num_attention_heads": 12,
    "intermediate_size": 3072,
}
_D_HEAD = 64

SHAPES: dict[str, Callable[[], Any]] = {
    "gpt2-shape": GPT2Config,
    "pythia-shape": lambda: GPTNeoXConfig(**_SMALL, vocab_size=50304),
    "llama-shape": lambda: LlamaConfig(
        **(_SMALL | {"intermediate_size": 2048}), vocab_size=32000, max_position_embeddings=2048
    ),
}

# Of too many parameters for a processor; not among the families that are compared.
LARGE: dict[str, Callable[[], Any]] = {
    "llama-8b-shape": lambda: LlamaConfig(
        hidden_size=4096,
        num_hidden_layers=32,
        num_attention_heads=32,
        num_key_value_heads=8,
        intermediate_size=14336,
        vocab_size=128256,
        max_position_embeddings=8192,
    )
}


def load(
    name: str, *, device: str = "auto", dtype: str = "float32", engine: Engine = "auto"
) -> Model:
    """Load a model, or make one of a shape.

    Args:
        name: One of `SHAPES` or `LARGE`, ``demo``, a hub id or a folder.
        device: As for `load_model`.
        dtype: As for `load_model`.
        engine: As for `load_model`.
    """
    source: Any = name
    place = parse_device(device)
    if name in SHAPES or name in LARGE:
        # Made where it is to be: drawing and copying billions of numbers would take minutes.
        with torch.device(place):
            source = random_model((SHAPES | LARGE)[name]())
    return load_model(source, device=place, dtype=dtype, engine=engine)


def gpt2_of_width(width: int, *, device: str = "auto") -> Model:
    """A model of GPT-2 small's shape, but for its width."""
    hf_model = random_model(GPT2Config(n_embd=width, n_head=width // _D_HEAD))
    return load_model(hf_model, device=parse_device(device))
