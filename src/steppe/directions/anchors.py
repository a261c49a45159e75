"""Prompts at whose activations directions are sought: the map from there to a later residual."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from steppe.core.sites import Site, as_site
from steppe.models import Model
from steppe.propagation import GradientSuffix, build_prefix, require_self_check
from steppe.propagation.forward import as_tokens


@dataclass(frozen=True, eq=False)
class Anchor:
    """One prompt's activation at a site, and what comes of it.

    Attributes:
        base: The activation, float32 ``(d_model,)``, on the model's device.
        suffix: The differentiable rest of the model.
        read: The later site.
    """

    base: Tensor
    suffix: GradientSuffix
    read: Site

    def outputs(self, points: Tensor) -> Tensor:
        """The later residual of points, ``(point, d_model)``; gradients flow back."""
        return self.suffix.residual(points, self.read)

    def push(self, tangents: Tensor) -> Tensor:
        """``J u`` at the activation itself, ``(row, d_model)``."""
        return self.suffix.push(self.base.expand_as(tangents), tangents, self.read)

    def pull(self, cotangents: Tensor) -> Tensor:
        """``J^T v`` at the activation itself, ``(row, d_model)``."""
        return self.suffix.pull(self.base.expand_as(cotangents), cotangents, self.read)


def anchors_of(model: Model, tokens: Any, site: Site | str, read: Site | str) -> Sequence[Anchor]:
    """Prepare prompts as anchors.

    Args:
        model: The model; checked on its first use.
        tokens: Token ids ``(prompt, position)``.
        site: Where activations are moved, at the last position.
        read: The later site.

    Raises:
        InputError: Sites or tokens that do not fit the model.
    """
    ids, place = as_tokens(model, tokens, axes=2), as_site(site)
    require_self_check(model, place, ids.shape[1])
    later = as_site(read).resolve(model.n_layers)
    found = []
    for row in ids:
        prefix = build_prefix(model, row, place)
        found.append(Anchor(prefix.base.clone(), GradientSuffix(model, prefix), later))
    return found


def orthonormal(rows: Tensor) -> Tensor:
    """An orthonormal basis of what rows span, float64 ``(row, d_model)``."""
    basis: Tensor = torch.linalg.qr(rows.double().T).Q.T
    return basis
