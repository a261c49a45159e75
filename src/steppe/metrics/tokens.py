"""How far the output moved at every token of a prompt whose activations all move at once.

The prompt's own outputs are the reference of all its paths: they are computed once, not per path.
Logits of all positions are large, so they are reduced a few steps at a time and never pile up.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from steppe.core.errors import InputError
from steppe.metrics.divergence import CHUNK, kl_sum, reference
from steppe.models.half_precision import HALF
from steppe.propagation.plan import of_device
from steppe.propagation.prefix import Prefix
from steppe.propagation.suffix import Suffix

# Logits held at once; far fewer of them are reduced at once.
_HELD = {"cpu": 2**23, "cuda": 2**28}
_NONE = -1


@dataclass(frozen=True, eq=False)
class CleanOutputs:
    """What a prompt gives when nothing is moved.

    Attributes:
        log_probabilities: Of the next token, float32 ``(position, vocab)``, at the positions that
            are moved; not below -80, too little to matter in any sum.
        probabilities: Their exponentials, kept because every comparison needs them.
        following: The token that does follow, int64 ``(position,)``; -1 where there is none.
        loss: Its negative log-probability in nats, ``(position,)``; NaN where there is none.
    """

    log_probabilities: Tensor
    probabilities: Tensor
    following: Tensor
    loss: Tensor


@dataclass(frozen=True, eq=False)
class TokenCurves:
    """How far the output moved, per point of a path and token.

    Attributes:
        kl: KL(clean || moved) of the next-token distribution in nats, float32 ``(step, position)``.
        loss_increase: Loss less the clean loss in nats, float32 ``(step, position)``; NaN where no
            token follows.
    """

    kl: NDArray[np.float32]
    loss_increase: NDArray[np.float32]


def clean_outputs(suffix: Suffix, prefix: Prefix, following: Tensor | None = None) -> CleanOutputs:
    """Run a prompt as it is.

    Args:
        suffix: Open, with logits.
        prefix: The prompt.
        following: The token after each position that is moved, int64 ``(position,)``; -1 for none.
            None: the prompt's own next tokens, and none after the last.

    Raises:
        InputError: The suffix gives no logits, or ``following`` does not fit the positions.
    """
    log_p = _logits(suffix, prefix, prefix.base[None])[0].log_softmax(-1)
    if following is None:
        tokens = prefix.tokens[-len(log_p) :]
        following = torch.cat([tokens[1:], tokens.new_full((1,), _NONE)])
    following = following.to(log_p.device)
    if following.shape != log_p.shape[:1]:
        raise InputError(
            "following tokens",
            got=f"shape {tuple(following.shape)}",
            expected=f"({len(log_p)},), one per position that is moved",
            fix=f"give {_NONE} where no token follows",
        )
    loss = _loss(log_p, following)
    return CleanOutputs(*reference(log_p), following, loss)


def measure_tokens(
    suffix: Suffix, prefix: Prefix, points: Tensor, clean: CleanOutputs
) -> TokenCurves:
    """Propagate one path of one prompt and compare every token's output with the clean one.

    A point that is the base itself, bit for bit, is the clean run: it is exactly 0. In half
    precision the points are run as a path that starts at the base, so that what is rounded is how
    far they are moved (see `Suffix`).

    Args:
        suffix: Open, with logits.
        prefix: The prompt.
        points: ``(step, position, d_model)``, or ``(step, d_model)`` when one position is moved.
        clean: The prompt's `clean_outputs`.

    Raises:
        InputError: The suffix gives no logits, or the points do not fit it.
    """
    positions, vocabulary = clean.log_probabilities.shape
    device = clean.log_probabilities.device
    base = prefix.base.to(points)
    moved = [step for step, point in enumerate(points) if not torch.equal(point, base)]
    kl = torch.zeros(len(points), positions)
    loss = torch.zeros(len(points), positions)
    loss[:, (clean.following == _NONE).cpu()] = torch.nan
    at_once = max(1, of_device(_HELD, device) // (positions * vocabulary))
    for start in range(0, len(moved), at_once):
        steps = moved[start : start + at_once]
        found = _compare(_moved_logits(suffix, prefix, points[steps], base), clean)
        kl[steps], loss[steps] = (values.cpu() for values in found)
    return TokenCurves(kl.numpy(), loss.numpy())


def _compare(logits: Tensor, clean: CleanOutputs) -> tuple[Tensor, Tensor]:
    """KL and loss increase of logits ``(step, position, vocab)``, a few positions at a time."""
    steps, positions, vocabulary = logits.shape
    at_once = max(1, of_device(CHUNK, logits.device) // (steps * vocabulary))
    kls, losses = [], []
    for start in range(0, positions, at_once):
        part = slice(start, start + at_once)
        log_p = logits[:, part].log_softmax(-1)
        losses.append(_loss(log_p, clean.following[part]) - clean.loss[part])
        kls.append(kl_sum(clean.log_probabilities[part], clean.probabilities[part], log_p))
    return torch.cat(kls, dim=1), torch.cat(losses, dim=1)


def _loss(log_p: Tensor, following: Tensor) -> Tensor:
    """Negative log-probability of the following tokens, NaN for none, ``(..., position)``."""
    ids = following.clamp_min(0).expand(log_p.shape[:-1])[..., None]
    return torch.where(following == _NONE, torch.nan, -log_p.gather(-1, ids)[..., 0])


def _moved_logits(suffix: Suffix, prefix: Prefix, points: Tensor, base: Tensor) -> Tensor:
    """Logits of points that are compared with the base, ``(step, position, vocab)``."""
    if suffix.model.dtype not in HALF:
        return _logits(suffix, prefix, points)
    return _logits(suffix, prefix, torch.cat([base[None], points]), is_path=True)[1:]


def _logits(suffix: Suffix, prefix: Prefix, points: Tensor, *, is_path: bool = False) -> Tensor:
    """Logits ``(step, position, vocab)``, at the one position that is moved or at all."""
    logits = suffix(prefix, points, path_length=len(points) if is_path else 1).logits
    if logits is None:
        raise InputError(
            "metrics per token",
            got="a suffix that returns no logits",
            expected="a suffix with logits",
            fix="open the suffix with logits=True",
        )
    return logits if logits.ndim == 3 else logits[:, None]
