"""SAE folders as SAELens writes them, of all generations, filled with random numbers."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

HOOK = "blocks.1.hook_resid_pre"


@dataclass(frozen=True)
class SaeFolders:
    """Writes SAE folders below one folder."""

    root: Path
    d_in: int = 8
    d_sae: int = 24

    def weights(self, architecture: str = "standard") -> dict[str, Tensor]:
        generator = torch.Generator().manual_seed(0)

        def draw(*shape: int) -> Tensor:
            return torch.randn(*shape, generator=generator)

        weights = {
            "W_enc": draw(self.d_in, self.d_sae),
            "W_dec": draw(self.d_sae, self.d_in),
            "b_dec": draw(self.d_in),
        }
        if architecture == "gated":
            return weights | {name: draw(self.d_sae) for name in ("b_gate", "b_mag", "r_mag")}
        if architecture == "jumprelu":
            weights["threshold"] = draw(self.d_sae).abs()
        return weights | {"b_enc": draw(self.d_sae)}

    def v1(self, **more: Any) -> dict[str, Any]:
        """A cfg.json of versions 1 and 2: a dump of the training settings."""
        settings = {
            "model_name": "gpt2-small", "hook_point": HOOK, "hook_point_layer": 1,
            "hook_point_head_index": None, "d_in": self.d_in, "d_sae": self.d_sae,
            "dtype": "torch.float32", "device": "mps", "expansion_factor": 3, "l1_coefficient": 0.1,
        }  # fmt: skip
        return settings | more

    def v3(self, **more: Any) -> dict[str, Any]:
        """A cfg.json of versions 3 to 5."""
        settings = {
            "architecture": "standard", "d_in": self.d_in, "d_sae": self.d_sae,
            "dtype": "torch.float32", "device": "cuda", "model_name": "gpt2-small",
            "hook_name": HOOK, "hook_layer": 1, "hook_head_index": None,
            "activation_fn_str": "relu", "activation_fn_kwargs": {}, "apply_b_dec_to_input": True,
            "finetuning_scaling_factor": False, "sae_lens_training_version": "3.1.0",
            "prepend_bos": True, "context_size": 128, "normalize_activations": "none",
        }  # fmt: skip
        return settings | more

    def v6(self, **more: Any) -> dict[str, Any]:
        """A cfg.json of version 6."""
        settings = {
            "architecture": "standard", "d_in": self.d_in, "d_sae": self.d_sae, "dtype": "float32",
            "device": "cpu", "apply_b_dec_to_input": True, "normalize_activations": "none",
            "reshape_activations": "none",
            "metadata": {
                "sae_lens_version": "6.20.0", "model_name": "gpt2-small", "hook_name": HOOK,
                "prepend_bos": False, "neuronpedia_id": "gpt2-small/1-res-jb",
            },
        }  # fmt: skip
        return settings | more

    def write(
        self,
        cfg: dict[str, Any] | str | None = None,
        weights: dict[str, Tensor] | None = None,
        sparsity: dict[str, Tensor] | None = None,
        name: str = "sae",
    ) -> Path:
        folder = self.root / name
        folder.mkdir(parents=True, exist_ok=True)
        text = cfg if isinstance(cfg, str) else json.dumps(cfg or self.v6())
        (folder / "cfg.json").write_text(text)
        save_file(weights or self.weights(), folder / "sae_weights.safetensors")
        if sparsity is not None:
            save_file(sparsity, folder / "sparsity.safetensors")
        return folder


@pytest.fixture
def folders(tmp_path: Path) -> SaeFolders:
    return SaeFolders(tmp_path)


@pytest.fixture
def x() -> Tensor:
    """Five activations for the SAEs of `folders`."""
    return 2 * torch.randn(5, 8, generator=torch.Generator().manual_seed(1))
