"""dictionary_learning: ``config.json`` and ``ae.pt``, in seven classes.

An interrupted run's file holds the autoencoder beside its optimiser, its biases not yet brought
back to the activations' scale by ``norm_factor``; a finished one's are.
"""

from __future__ import annotations

import re
import reprlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from steppe.sae.config import MOST, ArchitectureName, SaeConfig
from steppe.sae.formats.files import read_json, read_pt, refusal, tensor_of
from steppe.sae.formats.found import (
    Found,
    count,
    not_residual,
    refuse_unread,
    residual_post,
    setting,
    transposed,
)

SETTINGS, WEIGHTS = "config.json", "ae.pt"
_NEVER = -1.0


@dataclass(frozen=True)
class _Class:
    """One class of the library.

    Attributes:
        architecture: The same in steppe.
        names: The file's name of each tensor, by SAELens'; a matrix of a Linear layer is turned.
        subtracts: Whether the decoder's bias is taken off the input.
        beside: What else it holds, and does not compute with.
    """

    architecture: ArchitectureName
    names: dict[str, str]
    subtracts: bool = True
    beside: tuple[str, ...] = ()


_LINEAR = {"W_enc": "encoder.weight", "b_enc": "encoder.bias", "W_dec": "decoder.weight"}
_OWN = {name: name for name in ("W_enc", "b_enc", "W_dec", "b_dec")}
CLASSES = {
    "AutoEncoder": _Class("standard", {**_LINEAR, "b_dec": "bias"}),
    "AutoEncoderNew": _Class("standard", {**_LINEAR, "b_dec": "decoder.bias"}, subtracts=False),
    "GatedAutoEncoder": _Class(
        "gated",
        {
            "W_enc": "encoder.weight",
            "W_dec": "decoder.weight",
            "b_dec": "decoder_bias",
            "b_gate": "gate_bias",
            "b_mag": "mag_bias",
            "r_mag": "r_mag",
        },
    ),
    "JumpReluAutoEncoder": _Class("jumprelu", {**_OWN, "threshold": "threshold"}, subtracts=False),
    "AutoEncoderTopK": _Class("topk", {**_LINEAR, "b_dec": "b_dec"}, beside=("k", "threshold")),
    "BatchTopKSAE": _Class(
        "jumprelu", {**_LINEAR, "b_dec": "b_dec", "threshold": "threshold"}, beside=("k",)
    ),
    "MatryoshkaBatchTopKSAE": _Class(
        "jumprelu", {**_OWN, "threshold": "threshold"}, beside=("k", "group_sizes")
    ),
}


def is_one(place: Path) -> bool:
    """Whether it is a trainer's folder, or one of its checkpoints."""
    return (place / WEIGHTS).is_file() or (place.suffix == ".pt" and _settings(place) is not None)


def read(place: Path) -> Found:
    """Read a folder ``trainer_N``, or a file ``trainer_N/checkpoints/ae_STEP.pt``.

    Raises:
        InputError: It is of another class, reads something else than the residual stream, or its
            threshold was never estimated.
    """
    path, config_path = (place / WEIGHTS if place.is_dir() else place), _settings(place)
    if config_path is None:
        raise refusal(place / SETTINGS, "no such file", f"{SETTINGS} beside {WEIGHTS}")
    whole = read_json(config_path)
    trainer = setting(whole, "trainer", dict, config_path)
    name = setting(trainer, "dict_class", str, config_path)
    if name not in CLASSES:
        got = f"dict_class {name!r}"
        raise refusal(config_path, got, " or ".join(CLASSES), "choose another SAE")
    kind = CLASSES[name]
    d_in = count(trainer, "activation_dim", config_path)
    d_sae = count(trainer, "dict_size", config_path)
    state, factor = _state(read_pt(path), path)
    refuse_unread(state, {*kind.names.values(), *kind.beside}, path)
    tensors = {
        ours: _turned(tensor_of(state, theirs, path), theirs) for ours, theirs in kind.names.items()
    }
    if "threshold" in tensors:
        tensors["threshold"] = _threshold(tensors["threshold"], tensors["b_enc"], path)
    for bias in ("b_enc", "b_dec", "b_gate", "b_mag", "threshold"):
        if bias in tensors:
            tensors[bias] = tensors[bias] * factor
    config = SaeConfig(
        architecture=kind.architecture,
        d_in=d_in,
        d_sae=d_sae,
        hook_name=_hook(whole, trainer, config_path),
        apply_b_dec_to_input=kind.subtracts,
        k=count(trainer, "k", config_path) if kind.architecture == "topk" else None,
        coordinates="raw",
        model_name=trainer.get("lm_name") if isinstance(trainer.get("lm_name"), str) else None,
    )
    return Found(config, tensors, path)


def _settings(place: Path) -> Path | None:
    folders = [place] if place.is_dir() else [place.parent, place.parent.parent]
    found = [folder / SETTINGS for folder in folders if (folder / SETTINGS).is_file()]
    return next((path for path in found if isinstance(read_json(path).get("trainer"), dict)), None)


def _state(content: dict[str, Any], path: Path) -> tuple[dict[str, Any], float]:
    """The autoencoder, and what its biases are still to be multiplied by."""
    if not isinstance(content.get("ae"), dict):
        return content, 1.0
    factor = content.get("norm_factor")
    if factor is None:
        return content["ae"], 1.0
    if isinstance(factor, Tensor) and factor.numel() == 1:
        factor = factor.item()
    if isinstance(factor, int | float) and 0 < factor < MOST:
        return content["ae"], float(factor)
    raise refusal(path, f"norm_factor {reprlib.repr(factor)}", "a positive number, or none")


def _turned(tensor: Tensor, name: str) -> Tensor:
    return transposed(tensor) if name.endswith(".weight") else tensor


def _threshold(found: Tensor, latents: Tensor, path: Path) -> Tensor:
    if found.numel() == 1 and float(found) == _NEVER:
        raise refusal(
            path,
            "threshold -1, which the library gives before it has estimated one",
            "a threshold that was estimated while training",
            "choose a later checkpoint",
        )
    return torch.full_like(latents, float(found)) if found.ndim == 0 else found


def _hook(whole: dict[str, Any], trainer: dict[str, Any], path: Path) -> str:
    buffer = whole.get("buffer")
    io = buffer.get("io", "out") if isinstance(buffer, dict) else "out"
    name = trainer.get("submodule_name")
    layer = trainer.get("layer")
    if not isinstance(layer, int) or isinstance(layer, bool) or not 0 <= layer < MOST:
        raise refusal(path, f"layer = {layer!r}", "layer, a whole number")
    if io == "out" and (name is None or re.fullmatch(rf"resid_post_layer_{layer}", str(name))):
        return residual_post(layer)
    raise not_residual(path, f"submodule_name {name!r}, io {io!r}", f"not after block {layer}")
