"""Directions in which a later residual changes fastest: right singular vectors of its Jacobian."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from steppe.core.errors import InputError
from steppe.core.seeds import stream
from steppe.core.sites import Site, as_site
from steppe.directions.anchors import Anchor, anchors_of, orthonormal
from steppe.directions.direction_set import DirectionSet
from steppe.directions.pools import numbered, signed
from steppe.models import Model
from steppe.propagation.propagate import LAST

# Directions are found so many together, whichever are asked for, so that the first is the same
# with and without the third; and so many more are iterated, which makes these converge faster.
_TOGETHER, _BESIDE = 8, 8
_MOST = 200
# How far J^T J v may be from its multiple of v, in parts of the largest one.
_CONVERGED = 1e-4


def jacobian_top(
    model: Model,
    tokens: Any,
    site: Site | str,
    count: int = 1,
    *,
    read: Site | str = LAST,
    seed: int = 0,
) -> DirectionSet:
    """Top right singular vectors of the map from a site to a later residual.

    The Jacobian is taken at each prompt's own activation, at the last position; of several prompts
    they are stacked, so that the first direction has the largest mean square response. It is never
    written out: the subspace is iterated with products by J and J^T.

    Args:
        model: The model.
        tokens: Token ids of the prompts, ``(prompt, position)``.
        site: Where activations are moved.
        count: How many directions.
        read: The later site.
        seed: Seed of the stream that the iteration starts from.

    Returns:
        ``jacobian_top:1`` ..., the largest singular value first, with the sign that makes the
        largest number positive. Facts: ``gain``, the root mean square over prompts of ``|J v|``,
        and ``residual``, how far the iteration is from its end, in parts of the largest gain
        squared.

    Raises:
        InputError: More directions than ``d_model``, or nothing that reaches the later site.
    """
    if not 1 <= count <= model.d_model:
        raise InputError(
            "directions jacobian_top",
            got=str(count),
            expected=f"1 to d_model = {model.d_model}",
            fix="ask for fewer",
        )
    anchors = anchors_of(model, tokens, site, read)
    whole = min(model.d_model, -(-count // _TOGETHER) * _TOGETHER)
    width = min(model.d_model, whole + _BESIDE)
    start = stream(seed, "jacobian_top").standard_normal((width, model.d_model))
    found = _iterate(_squared(anchors), torch.from_numpy(start), whole)
    gains = found.values[:count].clamp_min(0).sqrt()
    if float(gains[-1]) == 0:
        raise InputError(
            f"directions jacobian_top from {as_site(site).name} to {as_site(read).name}",
            got=f"gain 0 of number {count}",
            expected="directions that reach the later site",
            fix="ask for fewer directions",
        )
    return DirectionSet.of(
        numbered("jacobian_top", count),
        signed(found.vectors[:count]),
        "directions jacobian_top",
        [
            {
                "gain": float(f"{gain:.6g}"),
                "residual": float(f"{rest:.2g}"),
                "prompts": len(anchors),
            }
            for gain, rest in zip(gains.tolist(), found.residuals[:count].tolist(), strict=True)
        ],
    )


@dataclass(frozen=True, eq=False)
class _Found:
    """Eigenvectors, their values, and what is left to converge; float64, a row or number each."""

    vectors: Tensor
    values: Tensor
    residuals: Tensor


def _squared(anchors: Sequence[Anchor]) -> Callable[[Tensor], Tensor]:
    """From rows v to the mean over anchors of ``J^T J v``, float64 on the CPU."""

    def apply(rows: Tensor) -> Tensor:
        total = torch.zeros_like(rows)
        for anchor in anchors:
            given = rows.to(anchor.base)
            total += anchor.pull(anchor.push(given)).double().cpu()
        return total / len(anchors)

    return apply


def _iterate(squared: Callable[[Tensor], Tensor], start: Tensor, count: int) -> _Found:
    """Subspace iteration with a Rayleigh-Ritz step, until the vectors asked for stand still."""
    basis = orthonormal(start)
    found = None
    for _ in range(_MOST):
        image = squared(basis)
        values, turn = torch.linalg.eigh((basis @ image.T + image @ basis.T) / 2)
        turn = turn.flip(1).T
        vectors, images, values = turn @ basis, turn @ image, values.flip(0)
        largest = values[0].clamp_min(np.finfo(float).tiny)
        residuals = (images - values[:, None] * vectors).norm(dim=1) / largest
        found = _Found(vectors[:count], values[:count], residuals[:count])
        if float(found.residuals.max()) < _CONVERGED:
            break
        basis = orthonormal(images)
    assert found is not None
    return found
