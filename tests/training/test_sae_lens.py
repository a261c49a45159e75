"""sae_lens reads the folders that the training writes, and computes what we compute."""

from __future__ import annotations

import pytest
import torch

from model_training.sae_folder import folded, write_sae_folder, write_sparsity
from model_training.sae_model import apply_sae, initial_sae

pytestmark = [
    pytest.mark.parity,
    # On import, sae_lens and its dependencies warn about each other's deprecations.
    pytest.mark.filterwarnings("ignore"),
]


def test_encode_and_decode_agree(tmp_path) -> None:
    sae_lens = pytest.importorskip("sae_lens")
    activations = 5 * torch.randn(200, 16, generator=torch.Generator().manual_seed(0))
    activations -= activations.mean(-1, keepdim=True)
    weights = initial_sae(activations * 0.2, latents=40, active=6.0, seed=0)
    weights["b_enc"] += 0.01 * torch.randn(40, generator=torch.Generator().manual_seed(1))
    metadata = {"model_name": "tiny", "hook_name": "blocks.1.hook_resid_pre"}
    stored = write_sae_folder(tmp_path, folded(weights, 0.15, 0.2), metadata)
    write_sparsity(tmp_path, torch.rand(40, generator=torch.Generator().manual_seed(2)))
    theirs = sae_lens.SAE.load_from_disk(tmp_path, device="cpu")
    assert theirs.cfg.architecture() == "jumprelu"
    ours = apply_sae(stored, activations, 0.0, stored["threshold"])
    assert ours.latents.count_nonzero() > 100
    latents = theirs.encode(activations)
    torch.testing.assert_close(latents, ours.latents, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(theirs.decode(latents), ours.reconstruction, rtol=1e-4, atol=1e-4)
