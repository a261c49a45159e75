"""How strongly a later site answers to small changes: the Frobenius norm of the Jacobian.

The norm of a part of a block is that between two sites: of an MLP from ``resid_mid`` to
``mlp_out``, of attention from ``resid_pre`` to ``attn_out``, of a whole suffix from where points
are placed to the last block's output.
"""

from __future__ import annotations

import torch
from torch import Tensor

from steppe.core.errors import InputError
from steppe.core.sites import Site
from steppe.propagation.gradient import GradientSuffix

# Rows of one pass.
_ROWS = 512


def jacobian_norm(
    suffix: GradientSuffix, points: Tensor, read: Site | str, *, probes: int = 0, seed: int = 0
) -> tuple[Tensor, Tensor]:
    """Norm of the Jacobian of a later site at every point, and its standard error.

    Args:
        suffix: Says where points are placed; of it the columns.
        points: ``(point, d_model)`` in the model's coordinates.
        read: The later site; of it the rows, in the same coordinates.
        probes: Random vectors v with entries -1 and 1, the same for all points: the mean of
            ``|J^T v|^2`` is the squared norm (Hutchinson 1990). 0: exact, by a product for each
            dimension of the site.
        seed: Of the vectors.

    Returns:
        Norms and their standard errors, float64 ``(point,)`` on the CPU; the errors are 0 where
        exact.

    Raises:
        InputError: One probe, which has no error, or a site before the points'.
    """
    if probes < 0 or probes == 1:
        raise InputError(
            "probes of a Jacobian norm",
            got=f"{probes}",
            expected="0, for the exact norm, or 2 and more",
            fix="16 give the norm within some percent",
        )
    with torch.no_grad():
        width = suffix.residual(points[:1], read).shape[-1]
    if probes:
        generator = torch.Generator().manual_seed(seed)
        vectors = 2.0 * torch.randint(2, (probes, width), generator=generator) - 1.0
    else:
        vectors = torch.eye(width)
    together = max(1, _ROWS // len(vectors))
    squares = torch.cat([_squares(suffix, p, vectors, read) for p in torch.split(points, together)])
    if not probes:
        norms = squares.sum(dim=1).sqrt()
        return norms, torch.zeros_like(norms)
    norms = squares.mean(dim=1).sqrt()
    # To first order, the error of a root is that of the square over twice the root.
    errors = squares.std(dim=1) / probes**0.5 / (2 * norms)
    return norms, torch.where(norms > 0, errors, 0.0)


def _squares(suffix: GradientSuffix, points: Tensor, vectors: Tensor, read: Site | str) -> Tensor:
    found = []
    for some in torch.split(vectors, max(1, _ROWS // len(points))):
        rows = points.repeat_interleave(len(some), dim=0)
        pulled = suffix.pull(rows, some.repeat(len(points), 1), read)
        found.append(pulled.double().square().sum(dim=-1).view(len(points), -1).cpu())
    return torch.cat(found, dim=1)
