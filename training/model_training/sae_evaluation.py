"""Held-out measures of a finished SAE: explained variance, L0, dead latents, loss increase."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from model_training.sae_model import apply_sae, batch_threshold, candidates_of
from model_training.sae_source import CutModel, WindowMix, activations_at, mean_loss


@dataclass(frozen=True)
class Fit:
    """Measures over the ordinary tokens of some windows."""

    tokens: int
    explained_variance: float
    """1 minus the squared error over the squared deviation from the mean."""
    l0: float
    """Mean number of active latents."""
    firing_rates: Tensor
    """Share of tokens on which each latent is active, shape (f,)."""

    @property
    def dead_share(self) -> float:
        """Share of latents active on no token."""
        return float((self.firing_rates == 0).float().mean())


@dataclass(frozen=True)
class LossIncrease:
    """The model's held-out loss with and without the SAE, nats per token."""

    original: float
    substituted: float
    mean_ablated: float
    """With the mean activation in the place of every activation: what there is to lose."""
    tokens: int
    """How many predicted tokens the means are taken over."""


@torch.no_grad()
def calibrated_threshold(
    weights: Mapping[str, Tensor], scaled_batches: list[Tensor], active: float
) -> float:
    """Returns the one threshold that stands for the batches' own in use.

    Args:
        weights: in float32.
        scaled_batches: scaled activations, each (n, d).
        active: wanted mean number of active latents.
    """
    thresholds = [
        batch_threshold(candidates_of(weights, batch), active, rows=1024)
        for batch in scaled_batches
    ]
    return float(torch.stack(thresholds).mean())


@torch.no_grad()
def measured_fit(
    model: CutModel, layer: int, weights: Mapping[str, Tensor], mix: WindowMix, tokens: int
) -> Fit:
    """Measures reconstruction on about `tokens` tokens of the mix.

    Args:
        model: in float32.
        layer: the SAE reads the stream before this block.
        weights: as stored, with their thresholds.
        mix: held-out windows.
        tokens: how many to look at.
    """
    device = str(weights["W_enc"].device)

    def batches() -> Iterator[Tensor]:
        count, index = 0, 0
        while count < tokens:
            activations = activations_at(model, layer, mix.tokens(index, device))
            yield activations
            count, index = count + len(activations), index + 1

    return fit_of(weights, batches())


@torch.no_grad()
def fit_of(weights: Mapping[str, Tensor], batches: Iterable[Tensor]) -> Fit:
    """Measures reconstruction of activations, each batch of shape (n, d)."""
    error, total, squares = (torch.zeros((), dtype=torch.float64) for _ in range(3))
    sums = torch.zeros_like(weights["b_dec"], dtype=torch.float64)
    fired, count = torch.zeros_like(weights["b_enc"]), 0
    for activations in batches:
        output = apply_sae(weights, activations, 0.0, weights["threshold"])
        error += (activations - output.reconstruction).double().square().sum().cpu()
        squares += activations.double().square().sum().cpu()
        sums += activations.double().sum(0)
        on = output.latents > 0
        fired += on.sum(0)
        total += on.sum().cpu()
        count += len(activations)
    deviation = squares - sums.square().sum().cpu() / count
    return Fit(count, float(1 - error / deviation), float(total / count), fired / count)


@torch.no_grad()
def measured_loss_increase(
    model: CutModel, layer: int, weights: Mapping[str, Tensor], mix: WindowMix, batches: int
) -> LossIncrease:
    """Substitutes reconstructions at all ordinary positions of the mix's last length."""
    device = str(weights["W_enc"].device)
    losses: list[list[float]] = [[], [], []]
    tokens = 0
    for index in range(batches):
        inputs, targets = mix.tokens(index, device)[-1]
        stream = model.before(layer, inputs)
        tokens += targets.numel()
        chosen = model.ordinary(layer, inputs, stream)
        rebuilt, ablated = stream.clone(), stream.clone()
        output = apply_sae(weights, stream[chosen], 0.0, weights["threshold"])
        rebuilt[chosen] = output.reconstruction
        ablated[chosen] = stream[chosen].mean(0)
        for place, variant in enumerate((stream, rebuilt, ablated)):
            logits = model.onwards(layer, variant)[1]
            losses[place].append(float(mean_loss(logits, targets)))
    original, substituted, mean_ablated = (sum(values) / len(values) for values in losses)
    return LossIncrease(original, substituted, mean_ablated, tokens)
