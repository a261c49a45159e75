"""Tiny random models of many families, built in code."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
import transformers

from steppe.models import Model, load_model

D_MODEL, N_LAYERS, N_VOCAB = 32, 3, 97
_COMMON = {
    "vocab_size": N_VOCAB,
    "hidden_size": D_MODEL,
    "num_hidden_layers": N_LAYERS,
    "num_attention_heads": 4,
    "bos_token_id": 0,
    "eos_token_id": 0,
    "pad_token_id": None,
}
_LLAMA = {
    **_COMMON,
    "intermediate_size": 48,
    "num_key_value_heads": 2,
    "max_position_embeddings": 128,
}
_GEMMA = {**_LLAMA, "head_dim": 8}

# By family: the configuration class and its settings.
FAMILIES: dict[str, tuple[str, dict[str, Any]]] = {
    "gpt2": ("GPT2Config", {**_COMMON, "max_position_embeddings": 128}),
    "gpt_neox": ("GPTNeoXConfig", {**_COMMON, "intermediate_size": 48}),
    "gpt_neo": (
        "GPTNeoConfig",
        {
            **_COMMON,
            "num_hidden_layers": 4,
            "num_layers": 4,
            "attention_types": [[["global", "local"], 2]],
            "window_size": 8,
            "max_position_embeddings": 128,
        },
    ),
    "gptj": ("GPTJConfig", {**_COMMON, "rotary_dim": 4, "n_positions": 128}),
    "llama": ("LlamaConfig", _LLAMA),
    "mistral_sliding": ("MistralConfig", {**_LLAMA, "sliding_window": 8}),
    "qwen2": ("Qwen2Config", _LLAMA),
    "qwen2_sliding": (
        "Qwen2Config",
        {**_LLAMA, "use_sliding_window": True, "sliding_window": 8, "max_window_layers": 1},
    ),
    "qwen3": ("Qwen3Config", {**_LLAMA, "head_dim": 8}),
    "gemma": ("GemmaConfig", _GEMMA),
    "gemma2": (
        "Gemma2Config",
        {**_GEMMA, "sliding_window": 8, "attn_implementation": "eager"},
    ),
    "gemma3": ("Gemma3TextConfig", {**_GEMMA, "sliding_window": 8, "sliding_window_pattern": 2}),
    "opt": (
        "OPTConfig",
        {
            **_COMMON,
            "ffn_dim": 48,
            "word_embed_proj_dim": D_MODEL,
            "max_position_embeddings": 128,
        },
    ),
    "phi3": ("Phi3Config", _LLAMA),
    "falcon": ("FalconConfig", {**_COMMON, "new_decoder_architecture": True, "num_kv_heads": 2}),
    "falcon_alibi": ("FalconConfig", {**_COMMON, "alibi": True}),
    "bloom": ("BloomConfig", {**_COMMON, "n_layer": N_LAYERS, "n_head": 4}),
    "olmo": ("OlmoConfig", _LLAMA),
    "olmo2": ("Olmo2Config", _LLAMA),
    "cohere": ("CohereConfig", _LLAMA),
    "granite": (
        "GraniteConfig",
        {**_LLAMA, "embedding_multiplier": 3.0, "residual_multiplier": 0.5, "logits_scaling": 2.0},
    ),
    "mixtral": ("MixtralConfig", {**_LLAMA, "num_local_experts": 3}),
    "stablelm": ("StableLmConfig", _LLAMA),
    "phi": ("PhiConfig", _LLAMA),
    "codegen": ("CodeGenConfig", {**_COMMON, "n_positions": 128, "rotary_dim": 4}),
    "mpt": (
        "MptConfig",
        {"vocab_size": N_VOCAB, "d_model": D_MODEL, "n_layers": N_LAYERS, "n_heads": 4},
    ),
    # Its blocks normalise after the addition, and nothing comes after them.
    "opt_post_norm": (
        "OPTConfig",
        {
            **_COMMON,
            "ffn_dim": 48,
            "word_embed_proj_dim": 16,
            "max_position_embeddings": 128,
            "do_layer_norm_before": False,
        },
    ),
}


def make_model(config_class: str, settings: dict[str, Any]) -> Any:
    """A random model whose weights are large enough for every block to matter."""
    settings = dict(settings)
    attention = settings.pop("attn_implementation", None)
    config = getattr(transformers, config_class)(**settings)
    torch.manual_seed(0)
    hf_model = transformers.AutoModelForCausalLM.from_config(config, attn_implementation=attention)
    with torch.no_grad():
        for parameter in hf_model.parameters():
            if parameter.ndim > 1:
                parameter.mul_(8.0)
            else:
                parameter.add_(0.1 * torch.randn_like(parameter))
    return hf_model.eval()


@pytest.fixture(scope="session")
def model_of() -> Callable[[str], Model]:
    """Load the tiny model of a family, once a session."""
    made: dict[str, Model] = {}

    def load(family: str) -> Model:
        if family not in made:
            made[family] = load_model(make_model(*FAMILIES[family]))
        return made[family]

    return load


@pytest.fixture(scope="session", params=list(FAMILIES))
def family_model(request: pytest.FixtureRequest, model_of: Callable[[str], Model]) -> Model:
    """The tiny model of every family in turn."""
    return model_of(request.param)


@pytest.fixture
def gpt2(model_of: Callable[[str], Model]) -> Model:
    return model_of("gpt2")
