"""Synthetic activations whose latents keep the geometry of the base's latents.

Giglemiani et al. 2024, section 4.3, synthetic-structured: the angles between a base's strongest
latent and its other latents are looked for around another strongest latent.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from steppe.activations.composition import ActiveLatents, check_enough, compose
from steppe.activations.rate_ranking import RateRanking
from steppe.activations.vectors import Vectors
from steppe.core.readings import Reading, check_reading
from steppe.sae.autoencoder import Autoencoder
from steppe.sae.blocks import in_blocks
from steppe.sae.rates import FiringRates, as_rates

POOL = 100
"""Number of latents of similar firing rate among which the top latent is chosen (section 4.3)."""

TOP_COSINE = 0.42
"""Cosine sought between the two top latents in GPT-2 (section 4.3)."""

_ROWS = 64


def synthetic_structured(
    base: Vectors,
    sae: Autoencoder,
    rates: FiringRates | ArrayLike,
    reading: Reading = "text",
    cosine: bool | float = True,
) -> Tensor:
    """Rebuild a base's latents around another top latent, keeping their cosines to the top one.

    The top latent is replaced by the one of the 100 nearest in firing rate whose cosine to it is
    nearest to 0.42 (without ``cosine``: by the single nearest in rate). Each active latent is
    replaced by the unused latent whose cosine to the new top latent is nearest to the cosine
    between the old ones. Nothing is drawn. Ties go to the lower latent id.

    The ``code`` reading lets latents that never fire take part and replaces latents in the order
    of their ids; the ``text`` reading takes latents that fire only, and the top latent first.

    Args:
        base: Base activations, ``(sample, d_model)``.
        sae: The SAE.
        rates: Firing rates, linear, ``(latent,)``.
        reading: ``text`` or ``code``.
        cosine: Whether the cosine to the top latent decides in the choice of the new top latent;
            False is Table A.1's "w/o cos sim". A number is the cosine sought instead of 0.42,
            which is the mean cosine between two real activations of GPT-2, taken from the SAE's
            decoder bias (section 4.3).

    Returns:
        Synthetic activations, float32 on the CPU, ``(sample, d_model)``.
    """
    is_code = check_reading(reading) == "code"
    known = as_rates(rates, len(sae.W_dec))
    matching = _Matching(
        unit_rows(sae.W_dec),
        RateRanking(known, alive_only=not is_code),
        np.zeros_like(known.alive) if is_code else ~known.alive,
        pool=1 if cosine is False else POOL,
        top_cosine=TOP_COSINE if isinstance(cosine, bool) else cosine,
        top_first=not is_code,
    )
    return compose(base, sae, matching.rule)


def unit_rows(matrix: Tensor) -> Tensor:
    """Return the rows at length 1, in float64 on the CPU.

    Cosines decide which latent is chosen; in float64 the choice is the same on every machine.
    """
    # A copy of its own, changed in place: an SAE's decoder is large.
    rows = matrix.detach().to(device="cpu", dtype=torch.float64, copy=True)
    lengths: Tensor = rows.norm(dim=1, keepdim=True)
    # A row of zeros has no direction; its cosines are 0, not NaN.
    return rows.div_(lengths.clamp_min(torch.finfo(torch.float64).tiny))


@dataclass(frozen=True, eq=False)
class _Matching:
    """The rule of `synthetic_structured`.

    Attributes:
        units: Decoder rows of length 1, ``(latent, d_in)``.
        ranking: Latents by firing rate.
        left_out: Latents that may not be chosen, ``(latent,)``.
        pool: How many latents the new top latent is chosen from.
        top_cosine: The cosine it should have with the old one.
        top_first: Whether the top latent is replaced before the others.
    """

    units: Tensor
    ranking: RateRanking
    left_out: NDArray[np.bool_]
    pool: int
    top_cosine: float
    top_first: bool

    def rule(self, found: Sequence[ActiveLatents], _: range) -> list[ActiveLatents]:
        """Choose latents for every sample; a sample without active latents gets none."""
        chosen: list[ActiveLatents] = []
        for start in range(0, len(found), _ROWS):
            chosen += self._choose(found[start : start + _ROWS])
        return chosen

    def _choose(self, found: Sequence[ActiveLatents]) -> list[ActiveLatents]:
        tops = [active.top if len(active.ids) else 0 for active in found]
        new_tops = [self._new_top(top) for top in tops]
        # One product for all samples, in blocks of one shape: a sample's cosines are the same to
        # the last bit whichever samples come with it.
        cosines = in_blocks(lambda rows: rows @ self.units.T, self.units[new_tops]).numpy()
        cosines[:, self.left_out] = np.inf
        tasks = zip(found, tops, new_tops, cosines, strict=True)
        return [self._match(active, top, new_top, row) for active, top, new_top, row in tasks]

    def _new_top(self, top: int) -> int:
        pool = self.ranking.nearest(top, self.pool)
        cosines = (self.units[pool] @ self.units[top]).numpy()
        return int(pool[np.argmin(np.abs(cosines - self.top_cosine))])

    def _match(
        self, active: ActiveLatents, top: int, new_top: int, cosines: NDArray[np.float64]
    ) -> ActiveLatents:
        """Find the nearest unused cosine for each latent; ``cosines`` is used up."""
        check_enough(len(active.ids), int(np.isfinite(cosines).sum()))
        wanted = (self.units[active.ids] @ self.units[top]).numpy()
        chosen = np.empty_like(active.ids)
        places = np.arange(len(active.ids))
        if self.top_first:
            chosen[active.ids == top] = new_top
            cosines[new_top] = np.inf
            places = places[active.ids != top]
        for place in places:
            nearest = int(np.argmin(np.abs(cosines - wanted[place])))
            chosen[place] = nearest
            cosines[nearest] = np.inf
        return ActiveLatents(chosen, active.values)
