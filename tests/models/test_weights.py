from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from steppe.models import load_model
from steppe.models.weights import fingerprint


def openai_checkpoint(hf_model: Any) -> bytes:
    """GPT-2's values as OpenAI's own checkpoint has them: variables in the order of their names."""
    renamed = {"attn": "attn", "mlp": "mlp", "ln_1": "ln_1", "ln_2": "ln_2"}
    stored: dict[str, np.ndarray] = {}
    for index, block in enumerate(hf_model.transformer.h):
        for part in renamed:
            module = getattr(block, part)
            if part.startswith("ln"):
                stored[f"model/h{index}/{part}/g"] = module.weight.detach().numpy()
                stored[f"model/h{index}/{part}/b"] = module.bias.detach().numpy()
            else:
                for name, matrix in module.named_children():
                    if name.startswith("c_"):
                        stored[f"model/h{index}/{part}/{name}/w"] = matrix.weight.detach().numpy()
                        stored[f"model/h{index}/{part}/{name}/b"] = matrix.bias.detach().numpy()
    stored["model/ln_f/g"] = hf_model.transformer.ln_f.weight.detach().numpy()
    stored["model/ln_f/b"] = hf_model.transformer.ln_f.bias.detach().numpy()
    stored["model/wte"] = hf_model.transformer.wte.weight.detach().numpy()
    stored["model/wpe"] = hf_model.transformer.wpe.weight.detach().numpy()
    return b"".join(stored[name].tobytes() for name in sorted(stored))


def test_the_fingerprint_of_a_gpt2_is_the_hash_of_openais_own_file(
    make_gpt2: Callable[..., Any],
) -> None:
    hf_model = make_gpt2(n_layer=12)  # so that block 10 comes before block 2
    with torch.no_grad():
        for parameter in hf_model.parameters():
            parameter.add_(torch.randn_like(parameter))
    assert fingerprint(hf_model) == hashlib.sha256(openai_checkpoint(hf_model)).hexdigest()


@pytest.mark.parametrize("way", ["sharded", "with lm_head", "base model alone", "no metadata"])
def test_the_fingerprint_survives_saving_anew(
    make_gpt2: Callable[..., Any], saved: Path, tmp_path: Path, way: str
) -> None:
    expected = load_model(saved).identity
    hf_model = make_gpt2()
    if way == "sharded":
        hf_model.save_pretrained(tmp_path, max_shard_size="8KB")
        assert len(list(tmp_path.glob("model-*.safetensors"))) > 1
    elif way == "base model alone":
        hf_model.transformer.save_pretrained(tmp_path)
    else:
        hf_model.save_pretrained(tmp_path)
        weights = load_file(tmp_path / "model.safetensors")
        if way == "with lm_head":
            weights["lm_head.weight"] = weights["transformer.wte.weight"].clone()
        metadata = {"format": "pt"} | ({"saved": "anew"} if way == "no metadata" else {})
        save_file(weights, tmp_path / "model.safetensors", metadata=metadata)
    found = load_model(tmp_path).identity
    assert found.fingerprint == expected.fingerprint
    assert found.architecture == expected.architecture
    assert found.file_sha256 != expected.file_sha256


def test_the_fingerprint_is_that_of_the_values(make_gpt2: Callable[..., Any], saved: Path) -> None:
    expected = load_model(saved).identity.fingerprint
    assert load_model(make_gpt2()).identity.fingerprint == expected
    for dtype in ("bfloat16", "float64"):
        assert load_model(saved, dtype=dtype).identity.fingerprint == expected
    other = make_gpt2()
    with torch.no_grad():
        other.transformer.ln_f.bias[3] += 1e-6
    assert load_model(other).identity.fingerprint != expected


def test_the_same_weights_in_another_computation_are_another_model(
    make_gpt2: Callable[..., Any], saved: Path
) -> None:
    def of_file(**changes: Any) -> Any:
        (saved / "config.json").write_text(json.dumps(stated | changes))
        return load_model(saved).identity

    stated = json.loads((saved / "config.json").read_text())
    own = of_file()
    notes = of_file(architectures=["GPT2Model"], transformers_version="4.40.0", dtype="bfloat16")
    assert notes.architecture == own.architecture == load_model(make_gpt2()).identity.architecture
    replaced = make_gpt2()
    replaced.transformer.h[1].mlp.act = torch.nn.ReLU()
    others = [
        of_file(activation_function="relu"), of_file(layer_norm_epsilon=1e-3),
        load_model(replaced).identity,
    ]  # fmt: skip
    assert {one.fingerprint for one in others} == {own.fingerprint}
    assert len({one.architecture for one in (own, *others)}) == 4


def test_an_unembedding_of_its_own_is_part_of_the_fingerprint(
    make_gpt2: Callable[..., Any],
) -> None:
    tied, untied = make_gpt2(), make_gpt2(tie_word_embeddings=False)
    untied.load_state_dict(tied.state_dict())
    assert fingerprint(untied) == fingerprint(tied)
    with torch.no_grad():
        untied.lm_head.weight[0, 0] += 1.0
    assert fingerprint(untied) != fingerprint(tied)


def test_the_files_hash_is_the_one_that_the_hub_shows(saved: Path) -> None:
    content = (saved / "model.safetensors").read_bytes()
    assert load_model(saved).identity.file_sha256 == hashlib.sha256(content).hexdigest()


def test_an_object_comes_from_no_file(make_gpt2: Callable[..., Any]) -> None:
    assert load_model(make_gpt2()).identity.file_sha256 is None


def test_a_folder_does_not_pass_for_the_hub(make_gpt2: Callable[..., Any], tmp_path: Path) -> None:
    make_gpt2().save_pretrained(tmp_path / "gpt2")
    assert load_model(tmp_path / "gpt2").name == "gpt2 (local folder)"
