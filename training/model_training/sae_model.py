"""A sparse autoencoder: its weights, its arithmetic and its sparsity rule.

Batch top-k (Bussmann et al. 2024): in training the k * tokens largest pre-activations of a batch
are kept; afterwards one threshold does the same on average, which is a JumpReLU autoencoder.
Tokens may so use many or few latents. Axis letters: n tokens, d width, f latents.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class SaeOutput:
    """One pass over a batch."""

    reconstruction: Tensor
    """Shape (n, d), float32."""
    latents: Tensor
    """Shape (n, f), zero where a latent is off."""
    candidates: Tensor
    """Shape (n, f), the latents before the sparsity rule."""
    threshold: Tensor
    """Scalar: latents at or below it are off."""


@torch.no_grad()
def initial_sae(
    activations: Tensor, latents: int, active: float, seed: int, *, centred: bool = True
) -> dict[str, Tensor]:
    """Draws starting weights from data: decoder rows are real deviations from the mean.

    Args:
        activations: shape (n, d), with n >= latents.
        latents: number of latents.
        active: mean number of active latents at the start.
        seed: which rows are drawn.
        centred: whether activations are mean-free over d, as decoder rows then are.

    Returns:
        W_enc (d, f), b_enc (f,), W_dec (f, d) with unit rows, b_dec (d,), all float32.
    """
    generator = torch.Generator().manual_seed(seed)
    rows = torch.randperm(len(activations), generator=generator)[:latents].to(activations.device)
    mean = activations.mean(0)
    decoder = activations[rows] - mean
    # A little noise tells apart rows that stem from the same token at the same position.
    noise = torch.randn(decoder.shape, generator=generator).to(decoder.device)
    decoder = decoder + 0.1 * decoder.std() * noise
    weights = {
        "W_enc": torch.zeros_like(decoder.T),
        "b_enc": torch.zeros(latents, device=decoder.device),
        "W_dec": decoder,
        "b_dec": mean.clone(),
    }
    constrain(weights, centred)
    weights["W_enc"] = weights["W_dec"].T.contiguous()
    # Similar rows answer together and overshoot: start from the best overall size.
    held = activations[:2048]
    change = apply_sae(weights, held, active, None).reconstruction - mean
    weights["W_enc"] *= ((held - mean) * change).sum() / change.square().sum()
    return weights


@torch.no_grad()
def constrain(weights: Mapping[str, Tensor], centred: bool) -> None:
    """Makes decoder rows of unit length and, with the bias, mean-free over d, in place."""
    decoder, bias = weights["W_dec"], weights["b_dec"]
    if centred:
        decoder -= decoder.mean(1, keepdim=True)
        bias -= bias.mean()
    decoder /= decoder.norm(dim=1, keepdim=True).clamp_min(1e-8)


def candidates_of(weights: Mapping[str, Tensor], activations: Tensor) -> Tensor:
    """Returns the rectified pre-activations, shape (n, f)."""
    # The decoder's bias learns from the reconstruction alone; its part in the encoder's input
    # would cost a matrix product as large as the encoder's own gradient.
    centred = (activations - weights["b_dec"].detach().float()).to(weights["W_enc"].dtype)
    return torch.relu(torch.addmm(weights["b_enc"], centred, weights["W_enc"]))


def apply_sae(
    weights: Mapping[str, Tensor], activations: Tensor, active: float, threshold: Tensor | None
) -> SaeOutput:
    """Encodes and decodes.

    Args:
        weights: as `initial_sae` returns them, in the precision to compute with.
        activations: shape (n, d), float32.
        active: wanted mean number of active latents; used only where there is no threshold.
        threshold: a fixed threshold, or None to take the batch's own.
    """
    candidates = candidates_of(weights, activations)
    if threshold is None:
        threshold = batch_threshold(candidates.detach(), active)
    latents = torch.where(candidates > threshold, candidates, 0)
    return SaeOutput(decoded(weights, latents), latents, candidates, threshold)


def decoded(weights: Mapping[str, Tensor], latents: Tensor) -> Tensor:
    """Returns the reconstruction of latents, shape (n, d), float32."""
    return (latents @ weights["W_dec"]).float() + weights["b_dec"].float()


def batch_threshold(candidates: Tensor, active: float, rows: int = 256) -> Tensor:
    """Returns the value that leaves `active` latents a token on average.

    Args:
        candidates: non-negative, shape (n, f).
        active: wanted mean number of active latents.
        rows: evenly spaced tokens to look at; a full sort of the batch would cost more than
            the rest of the step, and the estimate's noise averages out over steps.
    """
    looked_at = candidates[:: max(1, len(candidates) // rows)]
    keep = min(int(active * len(looked_at)), looked_at.numel() - 1)
    return torch.topk(looked_at.flatten(), keep + 1, sorted=False).values.min()
