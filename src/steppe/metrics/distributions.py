"""What a next-token distribution is like, or how far it moved, beside KL and Jensen-Shannon."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from steppe.metrics.divergence import CHUNK, kl_sum, reference
from steppe.propagation.plan import of_device


def top_probability(logits: Tensor) -> Tensor:
    """Probability of the likeliest token.

    Args:
        logits: Shape ``(step, ..., vocab)``, float32 or wider.

    Returns:
        Shape ``(step, ...)``, from 1 / vocab to 1.
    """
    return in_chunks(logits, lambda part: part.log_softmax(-1).amax(-1).exp())


def entropy(logits: Tensor) -> Tensor:
    """Shannon entropy of the next-token distribution in nats.

    Args:
        logits: Shape ``(step, ..., vocab)``, float32 or wider.

    Returns:
        Shape ``(step, ...)``, from 0 to ln(vocab).
    """
    return in_chunks(logits, lambda part: torch.special.entr(part.softmax(-1)).sum(-1))


def reverse_kl(logits: Tensor) -> Tensor:
    """Kullback-Leibler divergence ``KL(P_i || P_0)`` in nats: the moved point is the reference.

    Args:
        logits: Shape ``(step, ..., vocab)``, float32 or wider.

    Returns:
        Shape ``(step, ...)``; exactly 0 at step 0.
    """
    log_base = logits[:1].log_softmax(-1)

    def divergence(part: Tensor) -> Tensor:
        log_p, p = reference(part.log_softmax(-1))
        # No term is negative, so that small divergences survive; kl_sum overwrites its last.
        return kl_sum(log_p, p, log_base.expand_as(log_p).clone())

    return _from_zero(in_chunks(logits, divergence))


def hellinger(logits: Tensor) -> Tensor:
    """Hellinger distance of ``P_0`` and ``P_i``: ``sqrt(sum (sqrt P_i - sqrt P_0)^2 / 2)``.

    Args:
        logits: Shape ``(step, ..., vocab)``, float32 or wider.

    Returns:
        Shape ``(step, ...)``, from 0 to 1, without unit; exactly 0 at step 0.
    """
    base = (logits[:1].log_softmax(-1) / 2).exp()

    def distance(part: Tensor) -> Tensor:
        apart = (part.log_softmax(-1) / 2).exp() - base
        return (apart.square().sum(-1) / 2).sqrt().clamp_max(1.0)

    return _from_zero(in_chunks(logits, distance))


def in_chunks(logits: Tensor, number: Callable[[Tensor], Tensor]) -> Tensor:
    """Reduce logits ``(step, ..., vocab)`` a few steps at a time, as caches like it."""
    size = of_device(CHUNK, logits.device)
    parts = torch.split(logits, max(1, size // logits[:1].numel()))
    return torch.cat([number(part) for part in parts])


def _from_zero(out: Tensor) -> Tensor:
    """Step 0 is the reference itself: exactly 0, unless it is undefined."""
    out = out.clamp_min(0.0)
    out[0] = torch.where(out[0].isnan(), out[0], 0.0)
    return out
