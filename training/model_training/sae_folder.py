"""Writes an SAE in SAELens' version 6 folder format."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

SAE_LENS_VERSION = "6.54.12"
"""The version whose format is written."""


def folded(weights: Mapping[str, Tensor], threshold: float, scale: float) -> dict[str, Tensor]:
    """Returns the weights for activations in the model's own scale.

    Args:
        weights: of an SAE for activations times `scale`.
        threshold: in the same scaled units.
        scale: what the activations were multiplied by.
    """
    thresholds = torch.full_like(weights["b_enc"], threshold)
    return {
        "W_enc": weights["W_enc"],
        "b_enc": weights["b_enc"] / scale,
        "W_dec": weights["W_dec"],
        "b_dec": weights["b_dec"] / scale,
        "threshold": thresholds / scale,
    }


def write_sae_folder(
    folder: Path,
    weights: Mapping[str, Tensor],
    metadata: Mapping[str, Any],
    stored: torch.dtype = torch.float16,
) -> dict[str, Tensor]:
    """Writes cfg.json and sae_weights.safetensors.

    Args:
        folder: made where missing.
        weights: as `folded` returns them.
        metadata: model_name, hook_name, context_size and the like.
        stored: the format on disk, of two bytes; readers turn it into float32.

    Returns:
        The stored weights, read back in float32: those are the ones to evaluate.
    """
    folder.mkdir(parents=True, exist_ok=True)
    inputs, latents = weights["W_enc"].shape
    config = {
        "architecture": "jumprelu",
        "d_in": inputs,
        "d_sae": latents,
        "dtype": "float32",
        "device": "cpu",
        "apply_b_dec_to_input": True,
        "normalize_activations": "none",
        "reshape_activations": "none",
        "metadata": {"sae_lens_version": SAE_LENS_VERSION} | dict(metadata),
    }
    text = json.dumps(config, indent=2) + "\n"
    (folder / "cfg.json").write_text(text, encoding="utf-8")
    halves = {
        name: tensor.detach().to("cpu", stored).contiguous() for name, tensor in weights.items()
    }
    save_file(halves, folder / "sae_weights.safetensors")
    return {
        name: tensor.float()
        for name, tensor in load_file(folder / "sae_weights.safetensors").items()
    }


def write_sparsity(folder: Path, firing_rates: Tensor) -> None:
    """Writes log10 firing rates as SAELens does, shape (f,)."""
    logarithms = torch.log10(firing_rates.float().cpu() + 1e-10)
    save_file({"sparsity": logarithms}, folder / "sparsity.safetensors")
