"""How far the output would move if the model were linear: the Jacobian at a path's start."""

from __future__ import annotations

import torch
from torch import Tensor

from steppe.core.sites import Site
from steppe.models.model import Model
from steppe.propagation.gradient import GradientSuffix
from steppe.propagation.prefix import Prefix

# What a path leaves beside the plane it lies in, by rounding to float32: in parts of its length.
_ROUNDING = 1e-6


def linear_response(model: Model, prefix: Prefix, paths: Tensor, read: Site) -> Tensor:
    """Norm of ``J (x_i - x_0)`` at every point, J the Jacobian of a later site at ``x_0``.

    A straight path takes one product with J, a great circle two: as many as its displacements span
    dimensions. The ratio of the actual distance to this one says how far the linear picture holds.

    Args:
        model: The model.
        prefix: The prompt; its site is at the last position.
        paths: ``(path, step, d_model)``.
        read: The later site.

    Returns:
        ``(path, step)``, in units of the later site; 0 at step 0, NaN where a point is undefined.

    Raises:
        InputError: The site is not at the last position, or lies before the moved one.
    """
    suffix = GradientSuffix(model, prefix)
    return torch.stack([_along(suffix, path, read) for path in paths])


def _along(suffix: GradientSuffix, path: Tensor, read: Site) -> Tensor:
    found = torch.full((len(path),), torch.nan)
    defined = torch.isfinite(path).all(dim=-1).cpu()
    if not defined[0]:
        return found
    exact = path.double().cpu()
    away = exact[defined] - exact[0]
    _, lengths, rows = torch.linalg.svd(away, full_matrices=False)
    spanned = rows[lengths > _ROUNDING * lengths[0]]
    if not len(spanned):
        found[defined] = 0.0
        return found
    start = path[0].expand(len(spanned), -1)
    pushed = suffix.push(start, spanned.to(path), read).double().cpu()
    found[defined] = (away @ spanned.T @ pushed).norm(dim=-1).float()
    return found
