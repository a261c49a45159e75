"""dictionary_learning: every class by definition, interrupted runs, and what is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tests.sae.formats.conftest import largest, relu, tensors, write_json

from steppe.core.errors import InputError
from steppe.sae.loading import read_sae

THRESHOLD, K = 0.7, 4
CLASSES = [
    "AutoEncoder", "AutoEncoderNew", "GatedAutoEncoder", "JumpReluAutoEncoder", "AutoEncoderTopK",
    "BatchTopKSAE", "MatryoshkaBatchTopKSAE",
]  # fmt: skip


def file_of(name: str, d: Any) -> dict[str, Any]:
    """What ae.pt holds."""
    linear = {"encoder.weight": d.W_enc.T, "encoder.bias": d.b_enc, "decoder.weight": d.W_dec.T}
    own = {"W_enc": d.W_enc, "b_enc": d.b_enc, "W_dec": d.W_dec, "b_dec": d.b_dec}
    batch = {"threshold": torch.tensor(THRESHOLD), "k": torch.tensor(K)}
    found: dict[str, Any]
    if name == "GatedAutoEncoder":
        del linear["encoder.bias"]
        own_biases = {"gate_bias": d.b_enc, "mag_bias": d.threshold, "r_mag": d.other}
        found = tensors({**linear, **own_biases, "decoder_bias": d.b_dec})
    elif name == "JumpReluAutoEncoder":
        found = tensors({**own, "threshold": d.threshold})
    elif name == "MatryoshkaBatchTopKSAE":
        found = {**tensors(own), **batch, "group_sizes": torch.tensor([4, 12])}
    elif name in ("AutoEncoderTopK", "BatchTopKSAE"):
        found = {**tensors({**linear, "b_dec": d.b_dec}), **batch}
    else:
        bias = "bias" if name == "AutoEncoder" else "decoder.bias"
        found = tensors({**linear, bias: d.b_dec})
    return found


def latents_of(name: str, d: Any, x: Any) -> Any:
    """What the definition makes of activations."""
    subtracts = name not in ("AutoEncoderNew", "JumpReluAutoEncoder")
    pre = d.pre(x, subtract=subtracts)
    if name == "GatedAutoEncoder":
        bare = (x - d.b_dec) @ d.W_enc
        return (bare + d.b_enc > 0) * relu(np.exp(d.other) * bare + d.threshold)
    if name == "JumpReluAutoEncoder":
        return relu(pre) * (pre > d.threshold)
    if name == "AutoEncoderTopK":
        return largest(relu(pre), K)
    if name in ("BatchTopKSAE", "MatryoshkaBatchTopKSAE"):
        return relu(pre) * (relu(pre) > np.float32(THRESHOLD))
    return relu(pre)


def write(root: Path, name: str, state: dict[str, Any], **trainer: Any) -> Path:
    folder = root / "resid_post_layer_3/trainer_0"
    settings = {
        "dict_class": name, "activation_dim": 6, "dict_size": 16, "k": K, "layer": 3,
        "lm_name": "EleutherAI/pythia-70m-deduped", "submodule_name": "resid_post_layer_3",
    }  # fmt: skip
    buffer = {"d_submodule": 6, "io": trainer.pop("io", "out"), "ctx_len": 128}
    write_json(folder / "config.json", {"trainer": settings | trainer, "buffer": buffer})
    torch.save(state, folder / "ae.pt")
    return folder


@pytest.mark.parametrize("name", CLASSES)
def test_every_class(tmp_path: Path, draws: Any, x: Any, agrees: Any, name: str) -> None:
    latents = latents_of(name, draws, x)
    sae = agrees(write(tmp_path, name, file_of(name, draws)), latents, draws.decoded(latents))
    assert sae.hook_name == "blocks.3.hook_resid_post"
    assert sae.config.model_name == "EleutherAI/pythia-70m-deduped"
    assert sae.config.coordinates == "raw"


@pytest.mark.parametrize("name", CLASSES)
def test_an_interrupted_run_is_brought_to_scale(
    tmp_path: Path, draws: Any, x: Any, agrees: Any, name: str
) -> None:
    norm = 2.5
    state = {
        "step": 100, "ae": file_of(name, draws), "optimizer": {"state": {}, "param_groups": []},
        "config": {"lr": 1e-3}, "norm_factor": norm,
    }  # fmt: skip
    # The SAE of activations divided by the factor, and its output multiplied by it.
    latents = latents_of(name, draws, x / norm) * norm
    output = draws.decoded(latents / norm) * norm
    agrees(write(tmp_path, name, state), latents, output)


def test_a_checkpoint(tmp_path: Path, draws: Any, x: Any, agrees: Any) -> None:
    folder = write(tmp_path, "AutoEncoder", file_of("AutoEncoder", draws))
    path = folder / "checkpoints/ae_500.pt"
    path.parent.mkdir()
    (folder / "ae.pt").rename(path)
    latents = latents_of("AutoEncoder", draws, x)
    agrees(path, latents, draws.decoded(latents))


@pytest.mark.parametrize(
    ("trainer", "got"),
    [
        ({"dict_class": "CrossCoder"}, "dict_class 'CrossCoder'"),
        ({"submodule_name": "mlp_layer_3"}, "submodule_name 'mlp_layer_3'"),
        ({"layer": 4}, "not after block 4"),
        ({"io": "in"}, "io 'in'"),
        ({"k": 99}, "k = 99"),
        ({"k": None}, "k = None"),
        ({"activation_dim": 7}, r"'W_enc' of shape \(6, 16\)"),
    ],
)
def test_what_is_refused(tmp_path: Path, draws: Any, trainer: dict[str, Any], got: str) -> None:
    state = file_of("AutoEncoderTopK", draws)
    with pytest.raises(InputError, match=got):
        read_sae(write(tmp_path, "AutoEncoderTopK", state, **trainer))


def test_a_threshold_that_was_never_estimated(tmp_path: Path, draws: Any) -> None:
    state = file_of("BatchTopKSAE", draws) | {"threshold": torch.tensor(-1.0)}
    with pytest.raises(InputError, match="threshold -1"):
        read_sae(write(tmp_path, "BatchTopKSAE", state))


def test_a_matrix_the_other_way_round(tmp_path: Path, draws: Any) -> None:
    state = file_of("AutoEncoder", draws)
    state["encoder.weight"] = state["encoder.weight"].T.contiguous()
    with pytest.raises(InputError, match=r"'W_enc' of shape \(16, 6\)"):
        read_sae(write(tmp_path, "AutoEncoder", state))
