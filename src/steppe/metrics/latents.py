"""How many latents of an SAE at a later site change, and by how much."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor

from steppe.core.errors import InputError
from steppe.core.sites import Site, as_site
from steppe.metrics.catalogue import Metric
from steppe.sae.autoencoder import Autoencoder, as_autoencoder, encode
from steppe.sae.belonging import check_fits
from steppe.sae.blocks import row_slices
from steppe.sae.model import Sae

Compare = Callable[[Tensor, Tensor], Tensor]
# Rows of its decoder that an SAE object is told from another by.
_TRIED = 64


def latents_changed(sae: Autoencoder, read: Site | str | None = None) -> Metric:
    """The metric: number of latents that are active at the point or at the base, and not at both.

    Args:
        sae: An SAE of a later site, in whose coordinates the model is read; any object with
            ``encode`` and ``W_dec``.
        read: Its site; None: the one that the SAE's file names, else the one of the call.

    Returns:
        A metric without unit, 0 at the base. Measuring with it refuses a model that an `Sae` does
        not fit (`steppe.sae.check_fits`): of another width, or in other coordinates.
    """
    return _metric("latents_changed", "number of latents switched on or off", sae, read, _switched)


def latents_l1(sae: Autoencoder, read: Site | str | None = None) -> Metric:
    """The metric: L1 distance of the latents' activations from those at the base.

    Args:
        sae: As `latents_changed` takes it.
        read: Its site, as there.

    Returns:
        A metric in activation units of the latents, 0 at the base.
    """
    return _metric("latents_l1", "L1 change of latent activations", sae, read, _l1)


def _switched(latents: Tensor, base: Tensor) -> Tensor:
    return ((latents > 0) != (base > 0)).sum(-1).float()


def _l1(latents: Tensor, base: Tensor) -> Tensor:
    return (latents - base).abs().sum(-1).float()


def _metric(
    name: str, long_name: str, sae: Autoencoder, read: Site | str | None, compare: Compare
) -> Metric:
    sae = as_autoencoder(sae)
    own = sae.hook_name if isinstance(sae, Sae) else None
    site = read if read is not None else own
    unit = "1" if compare is _switched else "activation units"
    measure = partial(_change, sae=sae, compare=compare)
    place = None if site is None else as_site(site)
    fits = partial(check_fits, sae) if isinstance(sae, Sae) else None
    return Metric(
        name, unit, long_name, "residual", measure, place,
        content=_sha256(sae), fits=fits, sae=sae if isinstance(sae, Sae) else None,
    )  # fmt: skip


def _change(residual: Tensor, *, sae: Autoencoder, compare: Compare) -> Tensor:
    """Compare the latents of every point with those of the first, ``(step, ...)``."""
    if residual.shape[-1] != sae.W_dec.shape[1]:
        raise InputError(
            "latents changed",
            got=f"an SAE of width {sae.W_dec.shape[1]}",
            expected=f"{residual.shape[-1]}, the width of what is read",
            fix="give an SAE of the site that is read",
        )
    base = encode(sae, residual[:1].reshape(-1, residual.shape[-1]))
    rows = residual.reshape(-1, residual.shape[-1])
    found = torch.empty(len(rows), device=base.device)
    for part in row_slices(len(rows), len(sae.W_dec)):
        reference = base[torch.arange(part.start, part.stop, device=base.device) % len(base)]
        found[part] = compare(encode(sae, rows[part]), reference)
    # An undefined output has no latents, though comparisons with NaN have an answer.
    undefined = rows.isnan().any(-1).to(found.device)
    undefined |= undefined[: len(base)].repeat(len(rows) // len(base))
    return found.masked_fill(undefined, torch.nan).reshape(residual.shape[:-1]).to(residual.device)


def _sha256(sae: Autoencoder) -> str:
    if isinstance(sae, Sae):
        return sae.content
    # What it makes of its own decoder, near and far, tells encoders and thresholds apart.
    rows = sae.W_dec.detach()[:_TRIED]
    digest = hashlib.sha256()
    for tensor in (sae.W_dec.detach(), *(encode(sae, rows * far) for far in (1, 10, 100))):
        digest.update(tensor.float().cpu().contiguous().numpy().data)
    return digest.hexdigest()
