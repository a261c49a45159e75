"""What does an SAE make of a real target (Giglemiani et al. 2024, Appendix D), or of no latents?"""

from __future__ import annotations

import torch
from torch import Tensor

from steppe.activations.vectors import Vectors, as_vectors
from steppe.sae.autoencoder import Autoencoder, decode, encode
from steppe.sae.blocks import row_slices


def sae_reconstruction(target: Vectors, sae: Autoencoder) -> Tensor:
    """Encode and decode activations.

    Args:
        target: Activations, ``(sample, d_model)``.
        sae: The SAE.

    Returns:
        Their reconstructions, the decoder's bias included, float32 on the CPU,
        ``(sample, d_model)``.
    """
    d_sae, d_in = sae.W_dec.shape
    rows = as_vectors(target, "target", width=d_in)
    result = torch.empty_like(rows)
    for part in row_slices(len(rows), d_sae):
        decoded = decode(sae, encode(sae, rows[part]), rows[part])
        result[part] = decoded.float().cpu()
    return result


def without_latents(sae: Autoencoder, d_model: int) -> Tensor:
    """What the SAE makes of no latents: its decoder's bias, float32 on the CPU, ``(d_model,)``."""
    center = getattr(sae, "b_dec", None)
    if center is None:
        center = decode(sae, torch.zeros(1, len(sae.W_dec)), torch.zeros(1, d_model))[0]
    found: Tensor = center.detach().float().cpu()
    return found
