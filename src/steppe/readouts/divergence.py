"""How far a next-token distribution moved: divergences from the first point of its path.

The usual sums lose small divergences in the cancellation of large terms. Both functions here add
up terms that are never negative, which keeps four more digits near a path's start.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor

# exp(-80) is 2e-35: too small to matter in any sum here, and exp(80) still fits float32.
_FLOOR = -80.0
# Entries per chunk: what stays in a processor's cache; a GPU wants few large chunks instead.
_CHUNK = {"cpu": 2**18, "cuda": 2**26}


def kl(logits: Tensor) -> Tensor:
    """Kullback-Leibler divergence ``KL(P_0 || P_i)`` in nats: the base is the reference.

    Args:
        logits: Shape ``(step, ..., vocab)``, float32 or wider.

    Returns:
        Shape ``(step, ...)``; exactly 0 at step 0.
    """
    return _from_first(logits, _kl_terms)


def js(logits: Tensor) -> Tensor:
    """Jensen-Shannon divergence of ``P_0`` and ``P_i`` in bits, from 0 to 1.

    Args:
        logits: Shape ``(step, ..., vocab)``, float32 or wider.

    Returns:
        Shape ``(step, ...)``; exactly 0 at step 0.
    """
    return _from_first(logits, _js_terms) / math.log(2.0)


def _from_first(logits: Tensor, terms: Callable[[Tensor, Tensor, Tensor], Tensor]) -> Tensor:
    """Sum ``terms(log P_0, P_0, log P_i)`` over the vocabulary, a few steps at a time."""
    base = logits[:1].log_softmax(-1).clamp_min(_FLOOR)
    steps = max(1, _CHUNK.get(logits.device.type, _CHUNK["cuda"]) // base.numel())
    p = base.exp()
    chunks = torch.split(logits, steps)
    sums = [terms(base, p, chunk.log_softmax(-1)).sum(-1) for chunk in chunks]
    out = torch.cat(sums).clamp_min(0.0)
    # Step 0 is the reference itself; the floor above would leave 1e-30 there.
    out[0] = torch.where(out[0].isnan(), out[0], 0.0)
    return out


def _kl_terms(base: Tensor, p: Tensor, log_p: Tensor) -> Tensor:
    # sum P_0 (exp(c) - 1) is 0, so adding it to -sum P_0 c changes nothing.
    change = log_p.sub_(base)
    return change.expm1().sub_(change).mul_(p)


def _js_terms(base: Tensor, p: Tensor, log_p: Tensor) -> Tensor:
    # log of (1 + exp(c)) / 2 is max(c, 0) + gap, without overflow and without loss near c = 0.
    change = log_p - base
    gap = (change.abs().neg().expm1() / 2).log1p()
    from_base = p * (change.clamp_min(0.0) + gap)
    from_point = log_p.exp() * (change.neg().clamp_min(0.0) + gap)
    return (from_base + from_point) * -0.5
