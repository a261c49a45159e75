"""How far a next-token distribution moved: divergences from the first point of its path.

The usual sums lose small divergences in the cancellation of large terms. Both functions here add
up terms that are never negative, which keeps four more digits near a path's start.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor

from steppe.propagation.plan import of_device

# exp(-80) is 2e-35: too small to matter in any sum here, and exp(80) still fits float32.
FLOOR = -80.0
# No KL of probabilities that are not meant to be 0 comes near it.
_INFINITE = 1e30
# Entries per chunk: what stays in a processor's cache; a GPU wants few large chunks instead.
CHUNK = {"cpu": 2**18, "cuda": 2**26}


def kl(logits: Tensor) -> Tensor:
    """Kullback-Leibler divergence ``KL(P_0 || P_i)`` in nats: the base is the reference.

    Args:
        logits: Shape ``(step, ..., vocab)``, float32 or wider.

    Returns:
        Shape ``(step, ...)``; exactly 0 at step 0.
    """
    return _from_first(logits, kl_sum)


def js(logits: Tensor) -> Tensor:
    """Jensen-Shannon divergence of ``P_0`` and ``P_i`` in bits, from 0 to 1.

    Args:
        logits: Shape ``(step, ..., vocab)``, float32 or wider.

    Returns:
        Shape ``(step, ...)``; exactly 0 at step 0.
    """
    return _from_first(logits, _js_sum) / math.log(2.0)


def reference(log_p: Tensor) -> tuple[Tensor, Tensor]:
    """Log-probabilities, not below the floor, and their exponentials.

    Args:
        log_p: Log-probabilities of the reference, shape ``(..., vocab)``.
    """
    log_base = log_p.clamp_min(FLOOR)
    return log_base, log_base.exp()


def kl_sum(log_base: Tensor, base: Tensor, log_p: Tensor) -> Tensor:
    """KL over the vocabulary, from terms of which none is negative.

    Args:
        log_base: Log-probabilities of the reference, shape ``(..., vocab)``; see `reference`.
        base: Their exponentials.
        log_p: Log-probabilities of the other distribution, of like shape; overwritten.

    Returns:
        Nats, shape ``(...)``; infinite where the other distribution rules out, by a logit of minus
        infinity or one that stands for it, what the reference does not.
    """
    # What the reference rules out has the floor in both: masked there, it counts for nothing.
    lowest = torch.where(log_base <= FLOOR, FLOOR, -torch.inf)
    # sum P_0 (exp(c) - 1) is 0, so adding it to -sum P_0 c changes nothing.
    change = log_p.clamp_(min=lowest).sub_(log_base)
    sums: Tensor = change.expm1().sub_(change).mul_(base).sum(-1)
    return sums.clamp_min(0.0).masked_fill_(sums > _INFINITE, torch.inf)


def _from_first(logits: Tensor, measure: Callable[[Tensor, Tensor, Tensor], Tensor]) -> Tensor:
    """``measure(log P_0, P_0, log P_i)`` of a few steps at a time."""
    log_base, base = reference(logits[:1].log_softmax(-1))
    steps = max(1, of_device(CHUNK, logits.device) // base.numel())
    chunks = torch.split(logits, steps)
    out = torch.cat([measure(log_base, base, chunk.log_softmax(-1)) for chunk in chunks])
    # Step 0 is the reference itself; the floor above would leave 1e-30 there.
    out[0] = torch.where(out[0].isnan(), out[0], 0.0)
    return out


def _js_sum(log_base: Tensor, base: Tensor, log_p: Tensor) -> Tensor:
    # log of (1 + exp(c)) / 2 is max(c, 0) + gap, without overflow and without loss near c = 0.
    log_p = log_p.clamp_min(FLOOR)
    change = log_p - log_base
    gap = (change.abs().neg().expm1() / 2).log1p()
    from_base = base * (change.clamp_min(0.0) + gap)
    from_point = log_p.exp() * (change.neg().clamp_min(0.0) + gap)
    return ((from_base + from_point) * -0.5).sum(-1).clamp_min(0.0)
