"""Models that cannot be moved: dispatched over the processor and the disk, or quantised."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import transformers

from steppe.core.errors import InputError
from steppe.models import Model, load_model, with_random_weights
from steppe.propagation import propagate, read_activations, self_check

TOKENS = torch.arange(2 * 9).reshape(2, 9) + 3
SITES = ["resid_pre:1", "attn_out:1", "resid_mid:1", "mlp_post:1", "mlp_out:1"]
TORCHAO = Path(sys.prefix) / "torchao"


def on_disk(hf_model: Any) -> dict[str, str]:
    """Every second module on the disk, the embedding among them, and the others in memory."""
    names = {"llama": ["model.embed_tokens", "model.norm", "lm_head"]}
    names["gpt2"] = ["transformer.wte", "transformer.wpe", "transformer.ln_f", "lm_head"]
    family = hf_model.config.model_type
    inner = "model.layers" if family == "llama" else "transformer.h"
    blocks = [f"{inner}.{layer}" for layer in range(hf_model.config.num_hidden_layers)]
    places = {name: "disk" if place % 2 else "cpu" for place, name in enumerate(blocks)}
    rest = {name: "disk" if place % 2 == 0 else "cpu" for place, name in enumerate(names[family])}
    return {**places, **rest, **({"model.rotary_emb": "cpu"} if family == "llama" else {})}


@pytest.fixture(scope="module", params=["llama", "gpt2"])
def folder(
    request: pytest.FixtureRequest,
    tmp_path_factory: pytest.TempPathFactory,
    make_gpt2: Callable[..., Any],
    make_llama: Callable[[], Any],
) -> Path:
    hf_model = make_llama() if request.param == "llama" else make_gpt2(tie_word_embeddings=False)
    with torch.no_grad():
        for parameter in hf_model.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    path = tmp_path_factory.mktemp(request.param)
    hf_model.save_pretrained(path)
    return path


def dispatched(folder: Path, offload: Path) -> Any:
    whole = transformers.AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    return transformers.AutoModelForCausalLM.from_pretrained(
        folder, dtype=torch.float32, device_map=on_disk(whole), offload_folder=offload
    )


def assert_same(found: Model, expected: Model) -> None:
    points = read_activations(expected, TOKENS, ["resid_pre:1"])["blocks.1.hook_resid_pre"]
    points = points[:, None] + torch.linspace(0, 1, 4)[:, None]
    results = [
        (read_activations(one, TOKENS, SITES), propagate(one, TOKENS, "resid_pre:1", points))
        for one in (found, expected)
    ]
    for name, value in results[1][0].items():
        torch.testing.assert_close(results[0][0][name], value, rtol=1e-6, atol=1e-6)
    for name, value in results[1][1].residuals.items():
        torch.testing.assert_close(results[0][1].residuals[name], value, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("engine", ["auto", "general", "full"])
def test_a_dispatched_object_gives_the_same_numbers(
    folder: Path, tmp_path: Path, engine: Any
) -> None:
    hf_model, plain = dispatched(folder, tmp_path), load_model(folder, device="cpu")
    assert {p.device.type for p in hf_model.parameters()} == {"cpu", "meta"}
    model = load_model(hf_model, engine=engine)
    assert model.hf_model is hf_model
    assert model.device.type == "cpu"
    assert self_check(model, "resid_pre:1", 12).passed
    assert_same(model, replace(plain, engine=engine))
    assert {p.device.type for p in hf_model.parameters()} == {"cpu", "meta"}


def test_its_identity_is_that_of_the_weights(folder: Path, tmp_path: Path) -> None:
    own = load_model(dispatched(folder, tmp_path)).identity
    plain = load_model(folder, device="cpu").identity
    assert (own.fingerprint, own.sha256, own.dtype) == (plain.fingerprint, plain.sha256, "float32")


def test_weights_on_the_disk_are_checked_too(folder: Path, tmp_path: Path) -> None:
    hf_model = transformers.AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    places = on_disk(hf_model)
    block = next(name for name, place in places.items() if place == "disk" and name[-1] == "1")
    with torch.no_grad():
        next(hf_model.get_submodule(block).parameters()).view(-1)[3] = torch.nan
    hf_model.save_pretrained(tmp_path / "bad")
    broken = dispatched(tmp_path / "bad", tmp_path / "offload")
    with pytest.raises(InputError, match=rf"{block}(.|\n)*1 of"):
        load_model(broken)


def test_it_is_not_moved(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="'meta'"):
        load_model(dispatched(folder, tmp_path), device="meta")


def test_a_device_map_is_asked_for_by_name(folder: Path) -> None:
    model, plain = load_model(folder, device_map="auto"), load_model(folder)
    assert_same(model, plain)
    half, plain_half = (
        load_model(folder, dtype="bfloat16", device_map=one) for one in ("auto", None)
    )
    assert half.identity.sha256 == plain_half.identity.sha256, "in one piece it is halved as any"
    with pytest.raises(InputError, match="'cpu'"):
        load_model(folder, device="cpu", device_map="auto")


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_a_map_of_one_device_is_followed(
    folder: Path, monkeypatch: pytest.MonkeyPatch, dtype: str
) -> None:
    # As if there were another device, which "auto" would take.
    monkeypatch.setattr("steppe.models.model.parse_device", lambda _: torch.device("meta"))
    model = load_model(folder, device_map={"": "cpu"}, dtype=dtype)
    assert {parameter.device.type for parameter in model.hf_model.parameters()} == {"cpu"}


def test_a_device_map_for_an_object_is_refused(folder: Path) -> None:
    hf_model = load_model(folder).hf_model
    with pytest.raises(InputError, match=r"device_map(.|\n)*'auto', for a model object"):
        load_model(hf_model, device_map="auto")


def test_its_control_is_refused(folder: Path, tmp_path: Path) -> None:
    model = load_model(dispatched(folder, tmp_path))
    with pytest.raises(InputError, match="dispatched over devices"):
        with_random_weights(model, np.random.default_rng(0))


_QUANTISED = """
import copy, torch, transformers, numpy as np
from torchao.quantization import Int8WeightOnlyConfig, quantize_
from steppe.core.errors import InputError
from steppe.propagation import propagate, self_check
from steppe.propagation.replacements import replacements
from steppe.models import load_model, with_random_weights

torch.manual_seed(0)
config = transformers.LlamaConfig(
    hidden_size=32, intermediate_size=48, num_hidden_layers=3, num_attention_heads=4,
    vocab_size=60, bos_token_id=0, eos_token_id=0, initializer_range=0.3,
)
hf_model = transformers.LlamaForCausalLM(config).eval()
plain = load_model(copy.deepcopy(hf_model))
quantize_(hf_model, Int8WeightOnlyConfig())
whole = copy.deepcopy(plain.hf_model)
for name, module in hf_model.named_modules():
    if type(module) is torch.nn.Linear:
        weight = module.weight.dequantize()
        whole.get_submodule(name).weight.data = weight
model, expected = load_model(hf_model), load_model(whole)
assert model.hf_model is hf_model
assert not any(type(part) is torch.nn.Linear for part, _ in replacements(model.anatomy.blocks))
check = self_check(model, "resid_pre:1", 12)
assert check.passed and check.engine == "fast", check
assert model.identity.fingerprint == expected.identity.fingerprint
assert model.identity.sha256 != expected.identity.sha256
tokens = torch.arange(18).reshape(2, 9)
points = torch.randn(2, 4, 32)
found, right = (
    propagate(one, tokens, "resid_mid:1", points, logits=True) for one in (model, expected)
)
error = (found.logits - right.logits).abs().max() / right.logits.abs().max()
assert error < 1e-5, error
far = propagate(plain, tokens, "resid_mid:1", points, logits=True).logits
assert (found.logits - far).abs().max() > 1e-4
try:
    with_random_weights(model, np.random.default_rng(0))
except InputError as refused:
    assert "quantised" in str(refused)
else:
    raise AssertionError("a control of a quantised model")
print("served")
"""


@pytest.mark.skipif(not TORCHAO.is_dir(), reason="make test puts torchao beside the environment")
def test_an_int8_model_of_torchao_is_served_by_its_own_modules() -> None:
    # Not in the environment: where it is, transformers imports it for every model.
    paths = [str(TORCHAO), os.environ.get("PYTHONPATH", "")]
    done = subprocess.run(
        [sys.executable, "-c", _QUANTISED],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(paths)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout.strip().endswith("served"), done.stderr[-2000:]
