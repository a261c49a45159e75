"""Muon's orthogonalisation, the step of both rules, and the schedule."""

from __future__ import annotations

import pytest
import torch

from model_training.optimiser import MuonWithAdamW, OptimiserSettings, orthogonalised
from model_training.schedule import Plan, planned


@pytest.mark.parametrize("shape", [(16, 16), (16, 48), (48, 16)])
def test_orthogonalised_matrices_have_singular_values_near_one(shape) -> None:
    matrices = torch.randn(3, *shape, generator=torch.Generator().manual_seed(0))
    values = torch.linalg.svdvals(orthogonalised(matrices).float())
    assert values.min() > 0.3
    assert values.max() < 1.4


def test_both_rules_descend() -> None:
    generator = torch.Generator().manual_seed(0)
    target = torch.randn(8, 8, generator=generator)
    names = ("transformer.h.0.attn.c_proj.weight", "transformer.wte.weight")
    weights = {name: torch.zeros(8, 8) for name in names}
    rule = MuonWithAdamW(weights, OptimiserSettings(matrix_rate=0.05, other_rate=0.05))
    for _ in range(200):
        gradients = {name: weights[name] - target for name in names}
        rule.step(weights, gradients, schedule=1.0)
    for weight in weights.values():
        assert (weight - target).norm() < 0.3 * target.norm()


def test_schedule_rises_stays_and_falls_to_zero() -> None:
    plan = planned(1000, decay_share=0.25, seen=0)
    assert plan == Plan(decay_start=750, end=1000)
    assert plan.factor(49, warm_up=100) == 0.5
    assert plan.factor(500, warm_up=100) == 1.0
    assert plan.factor(875, warm_up=100) == 0.5
    assert plan.factor(1000, warm_up=100) == 0.0


def test_decay_never_covers_tokens_already_seen() -> None:
    assert planned(1000, decay_share=0.25, seen=900) == Plan(decay_start=900, end=1000)
