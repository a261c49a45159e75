from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import FalconConfig, FalconForCausalLM, MixtralConfig, MixtralForCausalLM
from transformers.pytorch_utils import Conv1D

from steppe.core import bundled
from steppe.core.errors import InputError
from steppe.models import load_model


def refused(*arguments: Any, **options: Any) -> str:
    with pytest.raises(InputError) as caught:
        load_model(*arguments, **options)
    return str(caught.value)


def test_a_folder(saved: Path) -> None:
    model = load_model(saved)
    assert (model.n_layers, model.d_model, model.d_vocab) == (2, 16, 40)
    assert model.context_length == 64
    assert model.bos_token_id == 0
    assert model.coordinates == "centered"
    assert model.dtype == torch.float32
    assert model.device.type in ("cpu", "cuda")
    assert not model.hf_model.training
    assert model.name == model.identity.name == "tiny-gpt2 (local folder)"
    assert model.identity.source == str(saved)
    assert model.identity.dtype == "float32"
    assert model.identity.attention == "sdpa"
    assert model.tokenizer is not None


def test_a_text_path_is_the_same_as_a_path(saved: Path) -> None:
    assert load_model(str(saved)).identity == load_model(saved).identity


def test_a_model_object_is_used_as_it_is(make_gpt2: Callable[..., Any], saved: Path) -> None:
    hf_model = make_gpt2()
    model = load_model(hf_model, device="cpu")
    assert model.hf_model is hf_model
    assert model.tokenizer is None
    assert (model.name, model.identity.source) == ("GPT2LMHeadModel", "object")
    assert model.identity.sha256 == load_model(saved, device="cpu").identity.sha256


def test_a_model_object_in_another_number_format_is_copied(make_gpt2: Callable[..., Any]) -> None:
    hf_model = make_gpt2().to(torch.bfloat16)
    model = load_model(hf_model)
    assert model.dtype == torch.float32
    assert hf_model.dtype == torch.bfloat16


def test_a_model_in_half_precision_can_be_taken_again(make_gpt2: Callable[..., Any]) -> None:
    half = load_model(make_gpt2(), dtype="bfloat16").hf_model
    whole = load_model(half).hf_model
    again = load_model(half, dtype="bfloat16").hf_model
    assert type(whole.transformer.h[0].mlp.c_fc) is Conv1D
    assert {parameter.dtype for parameter in whole.parameters()} == {torch.float32}
    assert type(again.transformer.h[0].mlp.c_fc) is type(half.transformer.h[0].mlp.c_fc)
    assert again.transformer.h[0].mlp.c_fc.weight.dtype == torch.bfloat16


def test_linear_layers_of_falcons_own_kind_are_halved() -> None:
    settings = {"vocab_size": 40, "hidden_size": 16, "num_hidden_layers": 2}
    config = FalconConfig(**settings, num_attention_heads=2)
    blocks = load_model(FalconForCausalLM(config), dtype="bfloat16").anatomy.blocks
    halved = {parameter.dtype for parameter in blocks.parameters() if parameter.ndim == 2}
    assert halved == {torch.bfloat16}


def test_experts_are_not_halved_and_it_is_said() -> None:
    settings = {"vocab_size": 40, "hidden_size": 16, "num_hidden_layers": 2}
    heads = {"num_attention_heads": 2, "num_key_value_heads": 2}
    config = MixtralConfig(**settings, **heads, intermediate_size=32)
    assert refused(MixtralForCausalLM(config), dtype="bfloat16") == (
        "number format 'bfloat16'\n"
        "  got:      blocks with 8% of their weights in linear layers\n"
        "  expected: at least half of them: other weights, as of experts, are not halved\n"
        "  fix:      use dtype='float32'"
    )


def test_half_precision_files_are_loaded_as_float32_unless_asked(
    make_gpt2: Callable[..., Any], tmp_path: Path
) -> None:
    make_gpt2().to(torch.float16).save_pretrained(tmp_path)
    assert load_model(tmp_path).dtype == torch.float32
    assert load_model(tmp_path, dtype="bfloat16").dtype == torch.bfloat16
    assert load_model(tmp_path, dtype=torch.float64).identity.dtype == "float64"


def test_the_hash_follows_the_weights(make_gpt2: Callable[..., Any]) -> None:
    hf_model = make_gpt2()
    before = load_model(hf_model).identity.sha256
    assert load_model(make_gpt2()).identity.sha256 == before
    with torch.no_grad():
        hf_model.transformer.ln_f.bias[3] += 1e-6
    assert load_model(hf_model).identity.sha256 != before


def test_demo_is_the_bundled_model(saved: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("steppe.models.model.demo_model", lambda: saved)
    model = load_model("demo")
    assert (model.name, model.identity.source) == ("demo", "bundled")


def test_a_missing_bundle_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bundled, "demo_folder", lambda: tmp_path / "demo")
    assert refused("demo") == (
        "bundled model 'demo'\n"
        f"  got:      {tmp_path / 'demo' / 'model'} does not exist\n"
        "  expected: the bundled model's files beside the package's code\n"
        "  fix:      install steppe again from a complete copy of the repository"
    )


@pytest.mark.parametrize("source", ["./nowhere", "a/b/c"])
def test_a_missing_folder(source: str) -> None:
    assert refused(source) == (
        f"model {source}\n"
        "  got:      no such folder\n"
        "  expected: a folder with config.json and model.safetensors, or a hub id\n"
        "  fix:      check the path (relative paths start at the current folder)"
    )


def test_a_file_instead_of_a_folder(saved: Path) -> None:
    assert "got:      a file" in refused(saved / "config.json")


@pytest.mark.parametrize("name", ["nobody/nothing", "nothing-here"])
def test_a_hub_that_cannot_be_reached(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    lines = refused(name).splitlines()
    assert lines[0] == f"model '{name}' on the hub"
    assert "couldn't connect" in lines[1]
    assert lines[2:] == [
        "  expected: a hub id that can be reached, or a local folder",
        "  fix:      check the spelling and the network; or download it and give the folder's path",
    ]


def test_pickled_weights_are_never_read(saved: Path, tmp_path: Path) -> None:
    shutil.copy(saved / "config.json", tmp_path)
    torch.save(load_file(saved / "model.safetensors"), tmp_path / "pytorch_model.bin")
    message = refused(tmp_path)
    assert "no file named model.safetensors" in message
    assert "pickled weights are never read" in message


def test_remote_code_is_never_run(saved: Path, tmp_path: Path) -> None:
    shutil.copytree(saved, tmp_path, dirs_exist_ok=True)
    config = json.loads((tmp_path / "config.json").read_text())
    config |= {"model_type": "own", "auto_map": {"AutoConfig": "own.Config"}}
    (tmp_path / "config.json").write_text(json.dumps(config))
    (tmp_path / "own.py").write_text("raise SystemExit('ran')")
    assert "contains custom code" in refused(tmp_path)


def copy_with(saved: Path, folder: Path, change: Callable[[dict[str, torch.Tensor]], None]) -> None:
    shutil.copytree(saved, folder, dirs_exist_ok=True)
    weights = load_file(saved / "model.safetensors")
    change(weights)
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})


WEIGHT = "transformer.h.1.mlp.c_fc.weight"


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_weights_that_are_not_finite(saved: Path, tmp_path: Path, value: float) -> None:
    def spoil(weights: dict[str, torch.Tensor]) -> None:
        weights[WEIGHT][0, :3] = value

    copy_with(saved, tmp_path / "spoilt", spoil)
    assert refused(tmp_path / "spoilt") == (
        f"weights of spoilt (local folder), parameter {WEIGHT}\n"
        "  got:      3 of 1024 entries are NaN or infinite\n"
        "  expected: finite numbers only\n"
        "  fix:      fetch or save the weights again; half precision overflows above 65504"
    )


# transformers prints its own report of what did not fit.
@pytest.mark.parametrize(
    ("change", "got"),
    [
        (lambda weights: weights.pop(WEIGHT), f"no weights for {WEIGHT}"),
        (
            lambda weights: weights.update({WEIGHT: torch.zeros(3)}),
            f"weights of another shape for {WEIGHT} ((3,), where it asks for (16, 64))",
        ),
    ],
)
def test_weights_that_do_not_fill_the_model(
    saved: Path, tmp_path: Path, change: Any, got: str
) -> None:
    copy_with(saved, tmp_path, change)
    assert refused(tmp_path) == (
        f"model {tmp_path}\n"
        f"  got:      {got}\n"
        "  expected: weights for every parameter that config.json asks for\n"
        "  fix:      correct the sizes in config.json where they are wrong; or save the whole "
        "model again, or choose the repository that holds it"
    )


def test_a_truncated_file(saved: Path, tmp_path: Path) -> None:
    shutil.copytree(saved, tmp_path, dirs_exist_ok=True)
    whole = (tmp_path / "model.safetensors").read_bytes()
    (tmp_path / "model.safetensors").write_bytes(whole[: len(whole) // 2])
    assert refused(tmp_path).startswith(f"model in folder {tmp_path}\n  got:      Error while")


def test_a_broken_tokenizer(saved: Path, tmp_path: Path) -> None:
    shutil.copytree(saved, tmp_path, dirs_exist_ok=True)
    (tmp_path / "tokenizer.json").write_text("{")
    message = refused(tmp_path)
    assert message.startswith(f"tokenizer in folder {tmp_path}\n")
    assert "or pass tokenizer=" in message


def test_unknown_number_format() -> None:
    expected = (
        "dtype\n"
        "  got:      'int8'\n"
        "  expected: float32, float64, bfloat16, float16\n"
        "  fix:      use 'float32' unless memory or speed forbids it"
    )
    assert refused("demo", dtype="int8") == expected
    assert refused("demo", dtype=torch.int8) == expected


@pytest.mark.parametrize("device", ["quantum", "cuda:9", "meta:1:2"])
def test_a_device_that_is_not_there(saved: Path, device: str) -> None:
    lines = refused(saved, device=device).splitlines()
    assert lines[:2] == ["device", f"  got:      '{device}'"]
    assert lines[2].startswith("  expected: a device of this machine: cpu")
    assert lines[3] == "  fix:      use device='auto' to take the best device there is"
