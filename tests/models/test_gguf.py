"""Tiny `.gguf` files, written tensor by tensor."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gguf
import numpy as np
import pytest
import torch
import transformers
from gguf import GGMLQuantizationType, GGUFWriter

from steppe.core.errors import InputError
from steppe.models import load_model
from steppe.models.stated import stated_config
from steppe.propagation import read_residuals, self_check

TOKENS = torch.tensor([[5, 3, 17, 8, 20]])
NAMES = {
    "self_attn.q_proj": "attn_q",
    "self_attn.k_proj": "attn_k",
    "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output",
    "mlp.gate_proj": "ffn_gate",
    "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down",
    "input_layernorm": "attn_norm",
    "post_attention_layernorm": "ffn_norm",
    "model.embed_tokens": "token_embd",
    "model.norm": "output_norm",
    "lm_head": "output",
}
QUANTISED = "mlp.up_proj.weight"


def make_model() -> Any:
    torch.manual_seed(0)
    config = transformers.Qwen2Config(
        hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=4,
        num_key_value_heads=2, vocab_size=24, max_position_embeddings=64, initializer_range=0.3,
        tie_word_embeddings=False, bos_token_id=0, eos_token_id=1, rope_theta=10000.0,
    )  # fmt: skip
    return transformers.Qwen2ForCausalLM(config).eval()


def name_in_file(name: str) -> str:
    for ours, theirs in NAMES.items():
        name = name.replace(ours, theirs)
    return name.replace("model.layers.", "blk.")


def write(path: Path, hf_model: Any, family: str = "qwen2") -> None:
    """Write a model as llama.cpp does; one matrix a layer is quantised, and changed to match."""
    config, writer = hf_model.config, GGUFWriter(path, family)
    writer.add_block_count(config.num_hidden_layers)
    writer.add_context_length(config.max_position_embeddings)
    writer.add_embedding_length(config.hidden_size)
    writer.add_feed_forward_length(config.intermediate_size)
    writer.add_head_count(config.num_attention_heads)
    writer.add_head_count_kv(config.num_key_value_heads)
    writer.add_layer_norm_rms_eps(config.rms_norm_eps)
    writer.add_rope_freq_base(10000.0)
    writer.add_vocab_size(config.vocab_size)
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("qwen2")
    letters = ["<s>", "</s>", *map(chr, range(97, 97 + config.vocab_size - 3)), "ab"]
    writer.add_token_list(letters)
    writer.add_token_types([3, 3, *[1] * (config.vocab_size - 2)])
    writer.add_token_merges(["a b"])
    writer.add_bos_token_id(0)
    writer.add_eos_token_id(1)
    for name, tensor in hf_model.state_dict().items():
        values = tensor.numpy()
        if name.endswith(QUANTISED):
            stored = gguf.quantize(values, GGMLQuantizationType.Q8_0)
            back = gguf.dequantize(stored, GGMLQuantizationType.Q8_0)
            assert not np.array_equal(back, values)
            tensor.copy_(torch.from_numpy(back.reshape(values.shape)))
            kind = GGMLQuantizationType.Q8_0
            writer.add_tensor(name_in_file(name), stored, raw_dtype=kind)
        else:
            writer.add_tensor(name_in_file(name), values)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


@pytest.fixture(scope="module")
def hf_model() -> Any:
    return make_model()


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory, hf_model: Any) -> Path:
    path = tmp_path_factory.mktemp("gguf") / "tiny-Q8_0.gguf"
    with torch.no_grad():
        write(path, hf_model)
    return path


def test_it_gives_the_numbers_of_the_model_that_it_holds(file: Path, hf_model: Any) -> None:
    model, plain = load_model(str(file)), load_model(hf_model)
    assert model.name == "tiny-Q8_0.gguf (local file)"
    assert model.identity.fingerprint == plain.identity.fingerprint
    for site in ("resid_pre:1", "mlp_out:1", "resid_post:1"):
        found, expected = (read_residuals(one, TOKENS, site) for one in (model, plain))
        torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-5)
    assert self_check(model, "resid_pre:1").engine == "fast"
    assert model.tokenizer is not None
    assert model.tokenizer("badab", add_special_tokens=False)["input_ids"] == [3, 2, 5, 23]
    assert load_model(file, dtype="bfloat16").identity.dtype == "bfloat16"


def test_its_sizes_are_known_before_its_weights_are_read(file: Path) -> None:
    config = stated_config(str(file))
    assert config is not None
    assert (config.num_hidden_layers, config.hidden_size) == (2, 32)


@pytest.mark.parametrize("share", [0.1, 0.5, 0.98])
def test_a_truncated_file_is_refused(file: Path, tmp_path: Path, share: float) -> None:
    content = file.read_bytes()
    cut = tmp_path / "cut.gguf"
    cut.write_bytes(content[: int(share * len(content))])
    with pytest.raises(InputError, match=r"cut\.gguf"):
        load_model(cut)


def test_what_is_no_such_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"lacking\.gguf(.|\n)*no such file"):
        load_model("lacking.gguf")
    other = tmp_path / "other.gguf"
    other.write_bytes(b"PK\x03\x04 something else")
    with pytest.raises(InputError, match="PK"):
        load_model(other)


def test_a_file_without_a_tensor_is_refused(tmp_path: Path) -> None:
    path, hf_model = tmp_path / "lacking.gguf", make_model()
    hf_model.model.layers[1].mlp.gate_proj.weight = None
    with torch.no_grad():
        write(path, hf_model)
    with pytest.raises(InputError, match="gate_proj"):
        load_model(path)


def test_a_family_that_transformers_does_not_read_is_refused_by_name(tmp_path: Path) -> None:
    path = tmp_path / "foreign.gguf"
    with torch.no_grad():
        write(path, make_model(), family="rwkv7")
    for read in (load_model, lambda source: stated_config(str(source))):
        with pytest.raises(InputError, match=r"foreign\.gguf(.|\n)*rwkv7(.|\n)*family that"):
            read(path)


def test_a_device_map_is_refused(file: Path) -> None:
    with pytest.raises(InputError, match=r"device_map(.|\n)*'auto', for .*tiny-Q8_0\.gguf"):
        load_model(file, device_map="auto")
