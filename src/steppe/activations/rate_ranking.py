"""Latents that fire about as often as a given one.

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
        ids = np.flatnonzero(rates.alive) if alive_only else np.arange(len(rates.values))
        self._rates = rates.values
        self._order = ids[np.argsort(rates.values[ids], kind="stable")]
        self._sorted = rates.values[self._order]
        # Strong latents are active on many bases.
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
        candidates = self._within_reach(latent, count)
        if len(candidates) == 0:
            raise InputError(
                "firing rates",
                got="no latent that fires, besides the one to be replaced",
                expected="latents to choose from",
                fix="measure firing rates on more activations, or choose another SAE",
            )
        distance = np.abs(self._rates[candidates] - self._rates[latent])
        return candidates[np.lexsort((candidates, distance))][:count]

    def _within_reach(self, latent: int, count: int) -> Ids:
        """The other latents that are no further in rate than the ``count``-th nearest."""
        rate = self._rates[latent]
        place = int(np.searchsorted(self._sorted, rate))
        # As many on either side, and the latent itself, hold the count-th distance.
        window = self._sorted[max(0, place - count - 1) : place + count + 1]
        distances = np.sort(np.abs(window - rate))
        if len(distances) == 0:
            return self._order
        reach = distances[min(count, len(distances) - 1)]
        # Rounding may put a tie just outside; a little too much does no harm.
        reach += 4 * np.finfo(np.float64).eps * (rate + reach)
        first = np.searchsorted(self._sorted, rate - reach, side="left")
        last = np.searchsorted(self._sorted, rate + reach, side="right")
        within: Ids = self._order[first:last]
        others: Ids = within[within != latent]
        return others
