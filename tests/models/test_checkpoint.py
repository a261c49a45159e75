from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from safetensors.torch import load_file, save_file

from steppe.core.errors import InputError
from steppe.models import load_model

POINTER = "version https://git-lfs.github.com/spec/v1\noid sha256:248dfc39\nsize 548105171\n"


def store_beside(folder: Path, names: Iterable[str]) -> None:
    weights = load_file(folder / "model.safetensors")
    weights |= {name: torch.ones(3) for name in names}
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})


def test_weights_that_config_json_does_not_ask_for_are_refused(tmp_path: Path) -> None:
    config = transformers.LlamaConfig(
        hidden_size=16,
        intermediate_size=24,
        num_hidden_layers=2,
        num_attention_heads=2,
        vocab_size=40,
        attention_bias=True,
        mlp_bias=True,
    )
    transformers.LlamaForCausalLM(config).save_pretrained(tmp_path)
    assert load_model(tmp_path).n_layers == 2
    settings = json.loads((tmp_path / "config.json").read_text())
    del settings["attention_bias"], settings["mlp_bias"]
    (tmp_path / "config.json").write_text(json.dumps(settings))
    with pytest.raises(InputError, match=r"layers\.0\.mlp\.down_proj\.bias.* and 11 more"):
        load_model(tmp_path)


def test_a_tensor_of_something_else_is_named(make_gpt2: Callable[..., Any], tmp_path: Path) -> None:
    make_gpt2().save_pretrained(tmp_path)
    store_beside(tmp_path, ["v_head.summary.weight"])
    with pytest.raises(InputError, match=r"v_head\.summary\.weight\n"):
        load_model(tmp_path)


@pytest.mark.parametrize(
    "names",
    [
        ["transformer.h.0.attn.bias", "transformer.h.0.attn.masked_bias"],
        ["transformer.h.1.attn.rotary_emb.inv_freq"],
    ],
)
def test_tables_that_older_versions_saved_are_no_weights(
    make_gpt2: Callable[..., Any], tmp_path: Path, names: list[str]
) -> None:
    make_gpt2().save_pretrained(tmp_path)
    store_beside(tmp_path, names)
    expected = load_model(make_gpt2()).identity.sha256
    assert load_model(tmp_path).identity.sha256 == expected


@pytest.mark.parametrize(
    "name", ["adapter_config.json", "adapter_model.safetensors", "adapter_model.bin"]
)
def test_an_adapter_beside_the_model_is_refused(
    make_gpt2: Callable[..., Any], tmp_path: Path, name: str
) -> None:
    make_gpt2().save_pretrained(tmp_path)
    (tmp_path / name).write_text('{"peft_type": "LORA", "base_model_name_or_path": "x"}')
    with pytest.raises(InputError, match=f"an adapter, {name}"):
        load_model(tmp_path)


@pytest.mark.parametrize("name", ["model.safetensors", "config.json", "tokenizer.json"])
def test_a_pointer_of_git_lfs_is_told(
    make_gpt2: Callable[..., Any], tmp_path: Path, name: str
) -> None:
    make_gpt2().save_pretrained(tmp_path)
    (tmp_path / name).write_text(POINTER)
    with pytest.raises(InputError, match="pointer of Git LFS") as caught:
        load_model(tmp_path)
    assert caught.value.place == f"file {tmp_path / name}"
