"""Directions from an SAE: its error at each base, and its decoder rows."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

import torch
from torch import Tensor

from steppe.paths.direction_request import DirectionRequest, as_directions, lacking

Choice = Literal["active", "active_in_prompt", "alive", "dead", "any"]
Sense = Literal["along", "against"]
_NEEDS_RATES = ("alive", "dead")


def sae_error(request: DirectionRequest) -> Tensor:
    """Directions from each base to its reconstruction (Gurnee 2024).

    At the length of the error itself the moved base is the reconstruction.
    """
    errors = request.reconstruction.double() - request.base.double()
    return as_directions(errors.reshape(request.rows.shape), request)


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
    uniform = request.uniform("sae_feature")
    chosen = torch.empty(len(uniform), dtype=torch.int64)
    for part, allowed in _allowed(request, choice):
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
    assert request.sae is not None
    decoder = request.sae.W_dec.detach()
    rows = decoder[chosen.clamp_min(0).to(decoder.device)].double().cpu()
    rows[chosen < 0] = torch.nan
    return as_directions(rows if sense == "along" else -rows, request)


def _allowed(request: DirectionRequest, choice: Choice) -> Iterator[tuple[slice, Tensor]]:
    """Which latents bases may be given: a part of the rows, and ``(row, latent)``.

    There is one row for all bases of the part where all may be given the same.
    """
    in_prompt = request.active_in_prompt
    by_rates = torch.ones(in_prompt.shape[1], dtype=torch.bool)
    if choice in _NEEDS_RATES:
        if request.rates is None:
            raise lacking(f"sae_feature_{choice}", "rates", "firing_rates(sae, activations)")
        alive = torch.from_numpy(request.rates.alive)
        by_rates = alive if choice == "alive" else ~alive
    per_sample = len(request.rows) // max(len(request.base), 1)
    for sample, present in enumerate(in_prompt):
        part = slice(sample * per_sample, (sample + 1) * per_sample)
        if choice == "active":
            yield part, request.active[part]
        elif choice == "active_in_prompt":
            yield part, present[None]
        else:
            yield part, (by_rates & ~present if choice == "alive" else by_rates)[None]
