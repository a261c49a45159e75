"""Models, SAEs and prompts of random numbers: they cost what real ones do."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import save_file
from torch import Tensor
from transformers import AutoModelForCausalLM

from steppe import load_model, load_prompts, read_residuals
from steppe.core.sites import Site

ACTIVE = 50


def unit_rows(rows: Tensor) -> Tensor:
    """The rows at unit length."""
    return rows / rows.norm(dim=1, keepdim=True)


def write_sae(
    folder: Path,
    decoder: Tensor,
    *,
    hook_name: str,
    bias: float,
    rates: Tensor | None = None,
) -> Path:
    """Write an SAE in SAELens' format whose encoder is its decoder transposed.

    Args:
        folder: Is made.
        decoder: ``(latent, d_model)``.
        hook_name: Where it reads.
        bias: Of every latent: how seldom it is active.
        rates: Share of tokens on which a latent is active, ``(latent,)``; None: not written.

    Returns:
        The folder.
    """
    folder.mkdir(parents=True)
    d_sae, d_in = decoder.shape
    weights = {
        "W_enc": decoder.T.contiguous(), "b_enc": torch.full((d_sae,), bias),
        "W_dec": decoder, "b_dec": torch.zeros(d_in),
    }  # fmt: skip
    save_file(weights, folder / "sae_weights.safetensors")
    if rates is not None:
        save_file({"sparsity": torch.log10(rates)}, folder / "sparsity.safetensors")
    settings = {
        "architecture": "standard", "d_in": d_in, "d_sae": d_sae, "dtype": "float32",
        "device": "cpu", "apply_b_dec_to_input": True, "normalize_activations": "none",
        "reshape_activations": "none",
        "metadata": {"sae_lens_version": "6.54.12", "hook_name": hook_name},
    }  # fmt: skip
    (folder / "cfg.json").write_text(json.dumps(settings))
    return folder


def bias_for(
    hf_model: Path, prompts: Path, decoder: Tensor, *, hook_name: str, length: int
) -> float:
    """The encoder bias with which some fifty latents are active, as in the papers' SAEs.

    Args:
        hf_model: Folder of the model.
        prompts: From `write_prompts`.
        decoder: ``(latent, d_model)``; the encoder is its transpose.
        hook_name: Where the SAE reads.
        length: Tokens of a prompt.
    """
    model = load_model(hf_model)
    tokens = load_prompts(str(prompts), model, length=length, limit=100).tokens
    with torch.inference_mode():
        found = read_residuals(model, tokens, Site.parse(hook_name)) @ decoder.T
    return -float(found.topk(ACTIVE, dim=1).values[:, -1].median())


def write_prompts(
    path: Path, count: int, length: int, vocabulary: int, *, bos: int | None = None
) -> Path:
    """Write random token rows as JSON lines.

    Args:
        path: The file.
        count: Rows.
        length: Tokens in a row.
        vocabulary: Tokens to draw from.
        bos: Begins every row, in the place of a random token.

    Returns:
        The file.
    """
    rows = np.random.default_rng(0).integers(0, vocabulary, size=(count, length))
    if bos is not None:
        rows[:, 0] = bos
    lines = (json.dumps({"input_ids": row}) for row in rows.tolist())
    path.write_text("\n".join(lines) + "\n")
    return path


def random_model(config: Any) -> Any:
    """A model with the random weights of its family; always the same."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return AutoModelForCausalLM.from_config(config).eval()
