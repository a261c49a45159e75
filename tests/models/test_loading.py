from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from transformers import Gemma2Config, Gemma2ForCausalLM

from steppe.core.errors import InputError
from steppe.metrics import measure
from steppe.models import load_model
from steppe.models import loading as module


def change_config(folder: Path, **changes: Any) -> None:
    settings = json.loads((folder / "config.json").read_text())
    kept = {key: value for key, value in (settings | changes).items() if value != "absent"}
    (folder / "config.json").write_text(json.dumps(kept))


def refusal(folder: Path) -> InputError:
    with pytest.raises(InputError) as caught:
        load_model(folder)
    return caught.value


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("num_heads", 3),
        ("model type", "gpt9"),
        ("vocab_size", 40.0),
        ("vocab_size", None),
        ("vocab_size", [40]),
        ("vocab_size", "40"),
        ("n_layer", "2"),
        ("layer_norm_epsilon", "1e-5"),
        ("n_inner", 12.5),
        ("tie_word_embeddings", "yes"),
        ("activation_function", None),
        ("activation_function", "su2"),
        ("n_positions", -1),
        ("n_head", 0),
    ],
)
def test_values_that_make_no_model_are_named(
    make_gpt2: Callable[..., Any], tmp_path: Path, key: str, value: Any
) -> None:
    make_gpt2().save_pretrained(tmp_path)
    in_file = {"num_heads": "n_head", "model type": "model_type"}  # as transformers' words go
    change_config(tmp_path, **{in_file.get(key, key): value})
    fault = refusal(tmp_path)
    assert fault.place == f"config.json of {tmp_path}"
    assert key in fault.got
    assert fault.fix.startswith("correct the key")
    assert "label2id" not in fault.got  # a default of transformers, which no file states
    assert fault.cause == "" or type(fault.__cause__) is KeyError


@pytest.mark.parametrize(
    ("changes", "got"),
    [
        ({"rope_parameters": {"rope_type": "su2"}}, r"^rope_parameters\.rope_type: unknown 'su2'$"),
        ({"rope_parameters": {"rope_type": "yarn"}}, r"rope_parameters.*'factor'"),
        ({"rope_scaling": 3}, "rope_parameters"),
        ({"head_dim": "8"}, "head_dim"),
    ],
)
def test_inner_keys_are_named_too(
    make_llama: Callable[[], Any], tmp_path: Path, changes: dict[str, Any], got: str
) -> None:
    make_llama().save_pretrained(tmp_path)
    change_config(tmp_path, **changes)
    assert re.search(got, refusal(tmp_path).got)


@pytest.mark.parametrize("name", ["attn_implementation", "_attn_implementation"])
def test_how_attention_is_computed_is_ours_to_say(
    make_gpt2: Callable[..., Any], tmp_path: Path, name: str
) -> None:
    make_gpt2().save_pretrained(tmp_path)
    change_config(tmp_path, **{name: "flash_attention_2"})
    assert load_model(tmp_path).identity.attention == "sdpa"
    change_config(tmp_path, **{name: "eager"})
    assert load_model(tmp_path).identity.attention == "eager"


@pytest.mark.parametrize("method", ["bitsandbytes", "gptq", "awq", "compressed-tensors"])
def test_quantised_weights_say_which_package_they_need(
    make_llama: Callable[[], Any],
    tmp_path: Path,
    method: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def load(*_args: Any, **_options: Any) -> None:
        raise ImportError(f"needs a package for {method}")

    make_llama().save_pretrained(tmp_path)
    change_config(tmp_path, quantization_config={"quant_method": method, "bits": 4})
    monkeypatch.setattr(module.AutoModelForCausalLM, "from_pretrained", load)
    fault = refusal(tmp_path)
    assert fault.place == f"config.json of {tmp_path}, quantization_config"
    assert fault.got == f"weights quantised by {method}: needs a package for {method}"
    assert "install the package named; remove the key where" in fault.fix


@pytest.mark.parametrize("stated", [{}, "gptq"])
def test_a_quantisation_that_names_no_method_is_a_key_to_remove(
    make_llama: Callable[[], Any], tmp_path: Path, stated: Any
) -> None:
    make_llama().save_pretrained(tmp_path)
    change_config(tmp_path, quantization_config=stated)
    fault = refusal(tmp_path)
    assert fault.place == f"config.json of {tmp_path}, quantization_config"
    assert fault.fix.endswith("remove the key where the weights are plain numbers")
    assert "install" not in fault.fix


def test_a_number_of_heads_that_runs_no_model_is_put_down_to_config_json(
    make_gpt2: Callable[..., Any], tmp_path: Path
) -> None:
    make_gpt2().save_pretrained(tmp_path)
    change_config(tmp_path, n_head=-1)
    assert refusal(tmp_path).fix.startswith("correct the configuration (config.json)")


@pytest.mark.parametrize(
    "changes",
    [
        {"rope_parameters": {"rope_type": "default", "rope_theta": 0}},
        {"rope_parameters": {"rope_type": "default", "rope_theta": -1.0}},
        {"rope_parameters": "absent", "rope_theta": 0},
        {"rms_norm_eps": float("nan")},
    ],
)
def test_constants_that_make_nan_are_put_down_to_config_json(
    make_llama: Callable[[], Any], tmp_path: Path, changes: dict[str, Any]
) -> None:
    make_llama().save_pretrained(tmp_path)
    change_config(tmp_path, **changes)
    fault = refusal(tmp_path)
    assert fault.got == "NaN from a short forward pass, though all weights are finite"
    assert fault.fix.startswith("take config.json from where the weights come from")


@pytest.mark.parametrize("window", [0, -3])
def test_layers_that_would_see_no_token_are_put_down_to_config_json(
    tmp_path: Path, window: int
) -> None:
    config = Gemma2Config(
        hidden_size=16, intermediate_size=16, num_hidden_layers=2, num_attention_heads=2,
        num_key_value_heads=1, head_dim=8, vocab_size=31, sliding_window=4,
    )  # fmt: skip
    Gemma2ForCausalLM(config).save_pretrained(tmp_path)
    load_model(tmp_path)
    change_config(tmp_path, sliding_window=window)
    fault = refusal(tmp_path)
    assert fault.got.startswith(f"sliding_window = {window}")


def test_a_model_that_states_no_limit_has_no_context_length(
    make_gpt2: Callable[..., Any],
) -> None:
    hf_model = make_gpt2()
    hf_model.config.n_positions = -1
    model = load_model(hf_model)
    assert model.context_length is None
    points = torch.zeros(1, 3, 16)
    assert np.isfinite(measure(model, [[1, 2, 3]], "resid_pre:1", points, ["l2"]).l2).all()


@pytest.mark.parametrize(
    "fault", [torch.OutOfMemoryError("no memory left"), RuntimeError("of something else")]
)
def test_what_is_not_the_files_fault_is_not_put_down_to_them(
    saved: Path, monkeypatch: pytest.MonkeyPatch, fault: Exception
) -> None:
    def load(*_args: Any, **_options: Any) -> None:
        raise fault

    monkeypatch.setattr(module.AutoModelForCausalLM, "from_pretrained", load)
    with pytest.raises(RuntimeError) as caught:
        load_model(saved)
    assert caught.value is fault
