"""Which latents fire about as often as a given one?

Similarity is the distance between linear firing rates, which is what the published tables used
(not between their logarithms). Equal distances are ranked by latent id.
"""

from __future__ import annotations

import numpy as np

from steppe.activations.composition import Ids
from steppe.core.errors import InputError
from steppe.sae.rates import FiringRates


class RateRanking:
    """Ranks latents by how close their firing rate is to another's.

    Args:
        rates: Firing rates of all latents.
        alive_only: Whether latents that never fired are left out.
    """

    def __init__(self, rates: FiringRates, *, alive_only: bool) -> None:
        self._values = rates.values
        self._left_out = ~rates.alive if alive_only else np.zeros(len(rates.values), dtype=bool)
        # Strong latents are active on many bases, and ranking all latents is the slow part.
        self._known: dict[int, Ids] = {}

    def nearest(self, latent: int, count: int) -> Ids:
        """Return the ``count`` latents nearest to ``latent`` in rate, itself left out.

        Args:
            latent: The latent.
            count: How many; fewer are returned when there are fewer.

        Returns:
            Latent ids, nearest first, ``(count,)``.

        Raises:
            InputError: There is no other latent at all.
        """
        known = self._known.get(latent)
        if known is None or len(known) < count:
            known = self._known[latent] = self._rank(latent, count)
        return known[:count]

    def _rank(self, latent: int, count: int) -> Ids:
        distance = np.abs(self._values - self._values[latent])
        distance[self._left_out] = np.inf
        distance[latent] = np.inf
        count = min(count, int(np.isfinite(distance).sum()))
        if count == 0:
            raise InputError(
                "firing rates",
                got="no latent that fires, besides the one to be replaced",
                expected="latents to choose from",
                fix="measure firing rates on more activations, or choose another SAE",
            )
        # All latents up to the count-th distance, so that ties can be settled by id.
        furthest = np.partition(distance, count - 1)[count - 1]
        candidates = np.flatnonzero(distance <= furthest)
        order = np.argsort(distance[candidates], kind="stable")
        return candidates[order[:count]]
