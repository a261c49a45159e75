"""How well an SAE reconstructs the activations it is given, and how sparsely.

Wrong coordinates, a missing normalisation or another model's SAE all show here first: the share of
variance explained falls far below what the SAE was published with.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from steppe.core.errors import InputError
from steppe.sae.autoencoder import Autoencoder, as_autoencoder, decode, encode
from steppe.sae.blocks import row_slices


@dataclass(frozen=True)
class SaeQuality:
    """How an SAE does on given activations.

    Attributes:
        explained_variance: 1 - sum |x - decode(encode(x))|^2 / sum |x - mean(x)|^2.
        mean_l0: Mean number of active latents per activation.
        dead_share: Share of latents active on none of the activations.
        count: Number of activations.
    """

    explained_variance: float
    mean_l0: float
    dead_share: float
    count: int


def quality(sae: Autoencoder, activations: Tensor) -> SaeQuality:
    """Measure how well an SAE reconstructs activations, and how sparsely.

    Args:
        sae: The SAE, or any object with ``encode``, ``decode`` and ``W_dec``.
        activations: Activations at its site and in its coordinates, ``(sample, d_in)``.

    Raises:
        InputError: There are fewer than two activations.
    """
    sae = as_autoencoder(sae)
    if len(activations) < 2:
        raise InputError(
            "activations",
            got=f"{len(activations)}",
            expected="at least 2, to know their variance",
            fix="give more prompts",
        )
    mean = activations.double().mean(dim=0)
    error = variance = active = 0.0
    fired = torch.zeros(len(sae.W_dec), dtype=torch.bool, device=sae.W_dec.device)
    for rows in row_slices(len(activations), len(sae.W_dec)):
        x = activations[rows]
        latents = encode(sae, x)
        error += float((x.double() - decode(sae, latents, x).to(x.device)).square().sum())
        variance += float((x.double() - mean).square().sum())
        is_active = latents != 0
        active += float(is_active.sum())
        fired |= is_active.any(dim=0)
    return SaeQuality(
        explained_variance=1 - error / variance if variance > 0 else float("nan"),
        mean_l0=active / len(activations),
        dead_share=1 - float(fired.sum()) / len(fired),
        count=len(activations),
    )
