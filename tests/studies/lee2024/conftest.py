"""SAEs of the tiny model: local ones of two sparsities, an end-to-end one, and one elsewhere."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from steppe.studies.lee2024.settings import Settings
from steppe.studies.lee2024.study import STUDY
from steppe.study import Context
from steppe.study.running import open_context

D_MODEL, D_SAE, DEAD = 16, 64, 4


def write_sae(folder: Path, *, bias: float, site: str, objective: str, seed: int) -> None:
    """A random SAE, whose first latents never fire."""
    generator = torch.Generator().manual_seed(seed)
    decoder = torch.randn(D_SAE, D_MODEL, generator=generator)
    decoder -= decoder.mean(dim=1, keepdim=True)
    decoder /= decoder.norm(dim=1, keepdim=True)
    biases = torch.full((D_SAE,), bias)
    biases[:DEAD] = -1e4
    rates = torch.rand(D_SAE, generator=generator) * 0.2 + 1e-3
    rates[:DEAD] = 0
    folder.mkdir(parents=True)
    weights = {"W_enc": decoder.T.contiguous(), "b_enc": biases, "W_dec": decoder,
               "b_dec": torch.zeros(D_MODEL)}  # fmt: skip
    save_file(weights, folder / "sae_weights.safetensors")
    save_file({"sparsity": torch.log10(rates + 1e-10)}, folder / "sparsity.safetensors")
    config = {
        "architecture": "standard", "d_in": D_MODEL, "d_sae": D_SAE, "dtype": "float32",
        "apply_b_dec_to_input": True, "normalize_activations": "none",
        "metadata": {"sae_lens_version": "6.0.0", "hook_name": site, "objective": objective},
    }  # fmt: skip
    (folder / "cfg.json").write_text(json.dumps(config))


@pytest.fixture(scope="session")
def saes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of four SAEs."""
    folder = tmp_path_factory.mktemp("saes")
    here, there = "blocks.1.hook_resid_pre", "blocks.2.hook_resid_pre"
    write_sae(folder / "dense", bias=-0.2, site=here, objective="local", seed=1)
    write_sae(folder / "sparse", bias=-2.0, site=here, objective="local", seed=2)
    write_sae(folder / "trained", bias=-1.0, site=here, objective="e2e", seed=3)
    write_sae(folder / "later", bias=-1.0, site=there, objective="local", seed=4)
    return folder


@pytest.fixture(scope="session")
def asked(tiny_files: Any, saes: Path) -> dict[str, Any]:
    """Settings of a tiny study."""
    return {
        "study": "lee2024",
        "model": str(tiny_files.model),
        "saes": [str(saes)],
        "prompts": str(tiny_files.prompts),
        "prompt_length": 10,
        "moments_samples": 500,
        "samples": 6,
        "lengths": [1, 11, 51],
        "device": "cpu",
        # Random SAEs, far too dense or too sparse to explain anything.
        "accept_sae": True,
    }


@pytest.fixture(scope="session")
def make_context(asked: dict[str, Any]) -> Callable[..., Context[Settings]]:
    def make(**changes: Any) -> Context[Settings]:
        return open_context(STUDY, Settings(**{**asked, **changes}))

    return make


@pytest.fixture(scope="session")
def context(make_context: Callable[..., Context[Settings]]) -> Context[Settings]:
    return make_context()
