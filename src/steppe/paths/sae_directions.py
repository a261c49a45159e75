"""Which directions does an SAE single out: its error at each base, and its decoder rows?"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

import torch
from torch import Tensor

from steppe.activations.composition import Autoencoder
from steppe.activations.reconstruction import sae_reconstruction
from steppe.paths.direction_request import DirectionRequest, as_directions, lacking
from steppe.sae.blocks import row_slices

Choice = Literal["active", "active_in_prompt", "alive", "dead", "any"]
Sense = Literal["along", "against"]
_NEEDS_RATES = ("alive", "dead")


def sae_error(request: DirectionRequest) -> Tensor:
    """Directions from each base to its reconstruction (Gurnee 2024).

    At the length of the error itself the moved base is the reconstruction.
    """
    sae = _sae(request, "sae_error")
    rows = request.rows
    return as_directions(sae_reconstruction(rows, sae).double() - rows.double(), request)


def sae_feature(request: DirectionRequest, *, choice: Choice, sense: Sense = "along") -> Tensor:
    """Decoder rows of latents, one drawn per base, evenly among those of a choice.

    One number is drawn per base and used for every choice, as in the authors' code, so that
    choices differ in their latents only.

    Args:
        request: What they are made from.
        choice: ``active`` at the token; ``active_in_prompt``: at any token of the sample; ``alive``
            by the SAE's firing rates, but not active in the prompt; ``dead`` by them; ``any``.
        sense: ``along`` the row, or ``against`` it.

    Returns:
        Directions; NaN where the choice leaves no latent.
    """
    sae = _sae(request, f"sae_feature_{choice}")
    decoder = sae.W_dec.detach()
    uniform = request.uniform("sae_feature")
    chosen = torch.empty(len(uniform), dtype=torch.int64)
    for part, allowed in _allowed(request, sae, choice):
        cumulative, counts = allowed.long().cumsum(dim=1), allowed.sum(dim=1)
        wanted = (uniform[part] * counts).long() + 1
        # The first place up to which as many latents are allowed as are wanted.
        shared = len(allowed) == 1
        places = (
            torch.searchsorted(cumulative[0], wanted)
            if shared
            else torch.searchsorted(cumulative, wanted[:, None])[:, 0]
        )
        chosen[part] = torch.where(counts > 0, places, -1)
    rows = decoder[chosen.clamp_min(0).to(decoder.device)].double().cpu()
    rows[chosen < 0] = torch.nan
    return as_directions(rows if sense == "along" else -rows, request)


def _allowed(
    request: DirectionRequest, sae: Autoencoder, choice: Choice
) -> Iterator[tuple[slice, Tensor]]:
    """Which latents bases may be given: a part of the rows, and ``(row, latent)``.

    There is one row for all bases of the part where all may be given the same.
    """
    d_sae = len(sae.W_dec)
    rows, per_sample = request.rows, max(1, len(request.rows) // max(len(request.base), 1))
    everything = torch.ones(d_sae, dtype=torch.bool)
    by_rates = everything
    if choice in _NEEDS_RATES:
        if request.rates is None:
            raise lacking(f"sae_feature_{choice}", "rates", "firing_rates(sae, activations)")
        alive = torch.from_numpy(request.rates.alive)
        by_rates = alive if choice == "alive" else ~alive
    if choice == "active":
        for part in row_slices(len(rows), d_sae):
            yield part, _active(sae, rows[part])
        return
    for sample in range(len(request.base)):
        part = slice(sample * per_sample, (sample + 1) * per_sample)
        allowed = by_rates
        if choice in ("active_in_prompt", "alive"):
            ordinary = rows[part][min(request.ordinary_from, per_sample - 1) :]
            in_prompt = _active(sae, ordinary).any(dim=0)
            allowed = in_prompt if choice == "active_in_prompt" else by_rates & ~in_prompt
        yield part, allowed[None]


def _active(sae: Autoencoder, rows: Tensor) -> Tensor:
    with torch.no_grad():
        return (sae.encode(rows) > 0).cpu()


def _sae(request: DirectionRequest, kind: str) -> Autoencoder:
    if request.sae is None:
        raise lacking(kind, "SAE", "give an SAE of the subject's site, or leave out this kind")
    return request.sae
