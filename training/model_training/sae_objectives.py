"""What an SAE is trained for: its input (local) or the model's output (end to end).

The end-to-end losses are those of Braun et al. 2024: the Kullback-Leibler divergence between the
model's output and its output when the reconstruction takes the place of the activation (`e2e`),
plus the squared error of the later layers' streams (`e2e_ds`). Sparsity is held by batch top-k
in all of them instead of by an L1 penalty, so that the number of active latents can be matched.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
import torch.nn.functional as functional
from torch import Tensor

from model_training.sae_model import SaeOutput, apply_sae
from model_training.sae_source import CutModel

DOWNSTREAM_WEIGHT = 1.0
"""Weight of the later layers' error (each in units of its variance) against the divergence."""


def local_loss(
    weights: Mapping[str, Tensor], activations: Tensor, active: float
) -> tuple[Tensor, SaeOutput]:
    """Returns the squared error in units of the variance, and the pass behind it.

    Args:
        weights: the SAE's, in the precision to compute with.
        activations: of unit mean squared deviation, shape (n, d).
        active: wanted mean number of active latents.
    """
    output = apply_sae(weights, activations, active, None)
    error = activations - output.reconstruction
    return error.square().sum(-1).mean(), output


@dataclass(frozen=True)
class Reference:
    """What the undisturbed model computes on a batch."""

    stream: Tensor
    """Activations at the SAE's place, shape (b, t, d)."""
    later: list[Tensor]
    """Streams after each later block, each (b, t, d)."""
    log_probabilities: Tensor
    """Shape (b, t, vocabulary)."""
    replaced: Tensor
    """Where the reconstruction goes, shape (b, t): ordinary positions."""


@torch.no_grad()
def reference_run(model: CutModel, layer: int, inputs: Tensor) -> Reference:
    """Runs the undisturbed model on token ids of shape (b, t)."""
    stream = model.before(layer, inputs)
    later, logits = model.onwards(layer, stream)
    chosen = model.ordinary(layer, inputs, stream)
    return Reference(stream, later, functional.log_softmax(logits, -1), chosen)


@dataclass(frozen=True)
class EndToEnd:
    """The end-to-end objective at one layer."""

    model: CutModel
    layer: int
    scale: float
    """The SAE works on activations times this, which have unit mean squared deviation."""
    downstream: bool
    """Whether the later layers' error counts too."""

    def loss(
        self, weights: Mapping[str, Tensor], reference: Reference, active: float
    ) -> tuple[Tensor, SaeOutput]:
        """Returns the loss in nats (plus relative errors), and the SAE's pass behind it."""
        chosen = reference.replaced
        scaled = reference.stream[chosen] * self.scale
        output = apply_sae(weights, scaled, active, None)
        stream = reference.stream.clone()
        stream[chosen] = output.reconstruction / self.scale
        later, logits = self.model.onwards(self.layer, stream)
        log_probabilities = functional.log_softmax(logits[chosen], -1)
        loss = functional.kl_div(
            log_probabilities,
            reference.log_probabilities[chosen],
            log_target=True,
            reduction="batchmean",
        )
        if self.downstream:
            errors = [
                (ours[chosen] - theirs[chosen]).square().mean() / theirs[chosen].var()
                for ours, theirs in zip(later, reference.later, strict=True)
            ]
            loss = loss + DOWNSTREAM_WEIGHT * torch.stack(errors).mean()
        return loss, output
