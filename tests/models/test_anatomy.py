from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
import transformers

from steppe.core.errors import InputError
from steppe.models import find_anatomy

SMALL = {"vocab_size": 40, "hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2}


def hooks_of(hf_model: Any) -> list[int]:
    return [
        len(module._forward_hooks) + len(module._forward_pre_hooks) for module in hf_model.modules()
    ]


def test_a_layer_norm_model(make_gpt2: Callable[..., Any]) -> None:
    hf_model = make_gpt2(layer_norm_epsilon=3e-4)
    before = hooks_of(hf_model)
    anatomy = find_anatomy(hf_model)
    assert anatomy.blocks is hf_model.transformer.h
    assert anatomy.blocks_path == "transformer.h"
    assert anatomy.final_norm is hf_model.transformer.ln_f
    assert (anatomy.norm, anatomy.norm_epsilon) == ("layer_norm", 3e-4)
    assert anatomy.unembedding is hf_model.lm_head
    assert (anatomy.family, anatomy.n_layers, anatomy.d_model) == ("gpt2", 2, 16)
    assert not anatomy.block_returns_tuple
    assert hooks_of(hf_model) == before


def test_an_rms_norm_model(make_llama: Callable[[], Any]) -> None:
    hf_model = make_llama()
    anatomy = find_anatomy(hf_model)
    assert anatomy.blocks is hf_model.model.layers
    assert anatomy.final_norm is hf_model.model.norm
    assert (anatomy.norm, anatomy.norm_epsilon) == ("rms_norm", 1e-6)


def test_a_norm_is_told_by_what_it_does_not_by_its_weights(make_gpt2: Callable[..., Any]) -> None:
    hf_model = make_gpt2()
    with torch.no_grad():
        hf_model.transformer.ln_f.weight.normal_()
    assert find_anatomy(hf_model).norm == "layer_norm"
    hf_model.transformer.ln_f = torch.nn.RMSNorm(16, eps=1e-5)
    assert find_anatomy(hf_model).norm == "rms_norm"
    hf_model.transformer.ln_f = torch.nn.Linear(16, 16)
    anatomy = find_anatomy(hf_model)
    assert (anatomy.norm, anatomy.final_norm) == ("other", None)


def test_the_text_decoder_of_a_model_that_also_sees() -> None:
    vision = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2}
    config = transformers.Gemma3Config(
        text_config={**SMALL, "head_dim": 8, "num_key_value_heads": 1, "intermediate_size": 24},
        vision_config={**vision, "intermediate_size": 16, "image_size": 28, "patch_size": 14},
        image_token_index=37,
        boi_token_index=38,
        eoi_token_index=39,
    )
    anatomy = find_anatomy(transformers.Gemma3ForConditionalGeneration(config))
    assert anatomy.blocks_path == "model.language_model.layers"


def test_the_block_list_can_be_named(make_gpt2: Callable[..., Any]) -> None:
    hf_model = make_gpt2()
    hf_model.transformer.second = torch.nn.ModuleList([torch.nn.Identity(), torch.nn.Identity()])
    with pytest.raises(InputError) as caught:
        find_anatomy(hf_model)
    assert str(caught.value) == (
        "model family 'gpt2'\n"
        "  got:      2 lists of 2 modules ['transformer.h', 'transformer.second']\n"
        "  expected: exactly one list of transformer blocks\n"
        "  fix:      this architecture is not supported; choose another model"
    )
    assert find_anatomy(hf_model, blocks_path="transformer.h").blocks is hf_model.transformer.h
    with pytest.raises(InputError) as caught:
        find_anatomy(hf_model, blocks_path="transformer.wte")
    assert str(caught.value) == (
        "blocks_path\n"
        "  got:      'transformer.wte', a Embedding\n"
        "  expected: the name of the list of transformer blocks\n"
        "  fix:      look for it in print(model)"
    )


def test_encoder_decoder_models_are_refused() -> None:
    config = transformers.BartConfig(
        vocab_size=40,
        d_model=16,
        encoder_layers=1,
        decoder_layers=1,
        encoder_ffn_dim=16,
        decoder_ffn_dim=16,
        encoder_attention_heads=2,
        decoder_attention_heads=2,
    )
    with pytest.raises(InputError) as caught:
        find_anatomy(transformers.BartForConditionalGeneration(config))
    assert str(caught.value) == (
        "model family 'bart'\n"
        "  got:      an encoder-decoder model\n"
        "  expected: a causal language model (decoder only)\n"
        "  fix:      choose a model that AutoModelForCausalLM loads"
    )


def test_blocks_of_another_kind_are_refused() -> None:
    hf_model = transformers.OpenAIGPTLMHeadModel(transformers.OpenAIGPTConfig(**SMALL))
    with pytest.raises(InputError) as caught:
        find_anatomy(hf_model)
    assert str(caught.value) == (
        "model family 'openai-gpt'\n"
        "  got:      a short forward pass fails: a block returns a list\n"
        "  expected: a causal language model that runs on token ids alone\n"
        "  fix:      correct the configuration (config.json) where a size or number of heads is "
        "wrong; where it is right, this architecture is not supported: choose another model"
    )
    assert not any(hooks_of(hf_model))


@pytest.mark.parametrize(
    "fault",
    [
        torch.OutOfMemoryError("no memory left"),
        RuntimeError("DefaultCPUAllocator: not enough memory"),
    ],
)
def test_too_little_memory_is_not_put_down_to_the_family(
    make_gpt2: Callable[..., Any], fault: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_args: Any, **_options: Any) -> None:
        raise fault

    monkeypatch.setattr(torch.nn.functional, "layer_norm", fail)
    with pytest.raises(RuntimeError) as caught:
        find_anatomy(make_gpt2())
    assert caught.value is fault


@pytest.mark.parametrize("kind", [ValueError, RuntimeError, ZeroDivisionError])
def test_what_a_users_hook_raises_passes(make_gpt2: Callable[..., Any], kind: type) -> None:
    def fail(*_args: Any) -> None:
        raise kind("the user's own")

    hf_model = make_gpt2()
    hf_model.transformer.h[0].register_forward_hook(fail)
    with pytest.raises(kind, match="the user's own"):
        find_anatomy(hf_model)
    assert sum(hooks_of(hf_model)) == 1


def test_a_model_without_blocks_is_refused(make_gpt2: Callable[..., Any]) -> None:
    with pytest.raises(InputError, match="lists of 0 modules"):
        find_anatomy(make_gpt2(n_layer=0))


def test_a_stream_that_is_ordered_in_another_way_is_refused() -> None:
    config = transformers.XLNetConfig(vocab_size=40, d_model=16, n_layer=2, n_head=2, d_inner=24)
    with pytest.raises(InputError, match=r"returns the shape \(2, 1, 16\)"):
        find_anatomy(transformers.XLNetLMHeadModel(config))
