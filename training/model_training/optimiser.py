"""Muon for the blocks' matrices, AdamW for everything else.

Muon (Jordan et al. 2024) replaces the momentum of a matrix by its nearest semi-orthogonal
matrix, so that rare directions are learned as fast as common ones. It reaches the same loss in
far fewer tokens than AdamW at this size, and it keeps the later layers from lagging behind.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

# A quintic that pulls every singular value in (0, 1] towards 1 in five rounds; it trades
# exactness (values end between 0.7 and 1.2) for the steepest start, which is all Muon needs.
QUINTIC = (3.4445, -4.7750, 2.0315)


@dataclass(frozen=True)
class OptimiserSettings:
    """Learning rates at the schedule's plateau, momenta and weight decay."""

    matrix_rate: float = 0.02
    """Muon's step: the spectral norm of a square matrix's update."""
    matrix_momentum: float = 0.95
    matrix_decay: float = 0.05
    """Weight decay of the matrices, per unit of learning rate."""
    other_rate: float = 3e-3
    """AdamW's step for embeddings, positions, norms and biases."""
    other_momenta: tuple[float, float] = (0.9, 0.98)
    embedding_decay: float = 0.02


def orthogonalised(matrices: Tensor, rounds: int = 5) -> Tensor:
    """Returns an approximation of the nearest semi-orthogonal matrices.

    Args:
        matrices: shape (matrices, rows, columns).
        rounds: Newton-Schulz iterations, run in bfloat16.

    Returns:
        Shape (matrices, rows, columns), bfloat16, singular values near 1.
    """
    first, third, fifth = QUINTIC
    tall = matrices.shape[-2] > matrices.shape[-1]
    current = matrices.mT if tall else matrices
    current = (current / (current.norm(dim=(-2, -1), keepdim=True) + 1e-12)).bfloat16()
    for _ in range(rounds):
        gram = current @ current.mT
        polynomial = torch.baddbmm(gram, gram, gram, beta=third, alpha=fifth)
        current = torch.baddbmm(current, polynomial, current, beta=first)
    return current.mT if tall else current


class MuonWithAdamW:
    """Updates float32 master weights in place; its state is a flat dictionary of tensors."""

    def __init__(self, weights: Mapping[str, Tensor], settings: OptimiserSettings) -> None:
        """Prepares zero momenta for the given master weights."""
        self.settings = settings
        self.steps = 0
        self.matrices = [
            name
            for name in weights
            if ".h." in name and name.endswith(("c_attn.weight", "c_proj.weight", "c_fc.weight"))
        ]
        self.others = [name for name in weights if name not in self.matrices]
        self.state = {f"momentum.{name}": torch.zeros_like(weights[name]) for name in weights}
        for name in self.others:
            self.state[f"square.{name}"] = torch.zeros_like(weights[name])

    @torch.no_grad()
    def step(
        self, weights: Mapping[str, Tensor], gradients: Mapping[str, Tensor], schedule: float
    ) -> None:
        """Moves the weights one step.

        Args:
            weights: master weights, changed in place.
            gradients: float32 gradients under the same names.
            schedule: factor on every learning rate, 0 to 1.
        """
        self.steps += 1
        self._step_matrices(weights, gradients, schedule)
        self._step_others(weights, gradients, schedule)

    def _step_matrices(
        self, weights: Mapping[str, Tensor], gradients: Mapping[str, Tensor], schedule: float
    ) -> None:
        settings = self.settings
        groups: dict[tuple[int, int], list[tuple[Tensor, Tensor]]] = {}
        for name in self.matrices:
            momentum = self.state[f"momentum.{name}"]
            momentum.lerp_(gradients[name], 1 - settings.matrix_momentum)
            looked_ahead = gradients[name].lerp(momentum, settings.matrix_momentum)
            # Queries, keys and values are three maps that happen to be stored side by side.
            parts = 3 if name.endswith("c_attn.weight") else 1
            for target, update in zip(
                weights[name].chunk(parts, dim=1), looked_ahead.chunk(parts, dim=1), strict=True
            ):
                groups.setdefault((target.shape[0], target.shape[1]), []).append((target, update))
        rate = settings.matrix_rate * schedule
        for (inputs, outputs), members in groups.items():
            updates = orthogonalised(torch.stack([update for _, update in members])).float()
            # Equal root-mean-square change of the outputs whatever the matrix's shape.
            scale = rate * max(1.0, outputs / inputs) ** 0.5
            for (target, _), update in zip(members, updates, strict=True):
                target.mul_(1 - rate * settings.matrix_decay).sub_(update, alpha=scale)

    def _step_others(
        self, weights: Mapping[str, Tensor], gradients: Mapping[str, Tensor], schedule: float
    ) -> None:
        first, second = self.settings.other_momenta
        rate = self.settings.other_rate * schedule
        for name in self.others:
            momentum, square = self.state[f"momentum.{name}"], self.state[f"square.{name}"]
            momentum.lerp_(gradients[name], 1 - first)
            square.lerp_(gradients[name].square(), 1 - second)
            root = (square / (1 - second**self.steps)).sqrt_().add_(1e-10)
            if name.endswith(("wte.weight", "wpe.weight")):
                weights[name].mul_(1 - rate * self.settings.embedding_decay)
            weights[name].addcdiv_(momentum, root, value=-rate / (1 - first**self.steps))
