"""Number, shares and angles of the latents that make up an activation.

Giglemiani et al. 2024, Appendix E. A latent's share is its part of the sum of the activations (the
paper calls it the share of the norm). Cosines are between decoder rows; they are counted into fixed
bins as they come, and never held all at once.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from steppe.activations.composition import ActiveLatents, active_latents
from steppe.activations.structured import unit_rows
from steppe.activations.vectors import Vectors, as_vectors
from steppe.sae.autoencoder import Autoencoder, encode
from steppe.sae.blocks import row_slices

Floats = NDArray[np.float64]
RANKS = 10
COSINE_EDGES: Floats = np.linspace(-1.0, 1.0, 201)


@dataclass(frozen=True, eq=False)
class CosineCounts:
    """Cosines of many pairs, counted.

    Attributes:
        counts: Pairs per bin of `COSINE_EDGES`, int64, ``(200,)``.
        count: Number of pairs.
        mean: Mean over all pairs; NaN when there are none.
        std: Standard deviation over all pairs (divided by their number).
    """

    counts: NDArray[np.int64]
    count: int
    mean: float
    std: float


@dataclass(frozen=True, eq=False)
class LatentStatistics:
    """What an SAE's latents look like on some activations.

    Attributes:
        l0: Number of active latents per activation, int64, ``(sample,)``.
        share: Share of the sum of activations held by the latent of each rank, in percent,
            ``(sample, rank)``; NaN where fewer latents are active.
        pair_cosine: Mean cosine between two active latents, per activation, ``(sample,)``; NaN
            where fewer than two are active.
        top_cosine: Mean cosine between the strongest and another active latent, ``(sample,)``.
        pairs: Cosines of all pairs of all activations, so that activations with many latents
            weigh more.
        tops: Cosines of all pairs with a strongest latent.
    """

    l0: NDArray[np.int64]
    share: Floats
    pair_cosine: Floats
    top_cosine: Floats
    pairs: CosineCounts
    tops: CosineCounts


class _Tally:
    """Counts cosines and keeps their running sums."""

    def __init__(self) -> None:
        self._counts = np.zeros(len(COSINE_EDGES) - 1, dtype=np.int64)
        self._sums = np.zeros(3)

    def add(self, cosines: Floats) -> float:
        """Count cosines and return their mean; NaN when there are none."""
        if cosines.size == 0:
            return float("nan")
        # Rounding may take a cosine past 1.
        self._counts += np.histogram(cosines.clip(-1.0, 1.0), COSINE_EDGES)[0]
        self._sums += cosines.size, cosines.sum(), np.square(cosines).sum()
        return float(cosines.mean())

    def result(self) -> CosineCounts:
        count, total, squares = self._sums
        if count == 0:
            return CosineCounts(self._counts, 0, float("nan"), float("nan"))
        mean = total / count
        spread = np.sqrt(max(squares / count - mean**2, 0.0))
        return CosineCounts(self._counts, int(count), float(mean), float(spread))


def latent_statistics(activations: Vectors, sae: Autoencoder) -> LatentStatistics:
    """Measure the latents of activations.

    Args:
        activations: Activations at the SAE's site, ``(sample, d_model)``.
        sae: The SAE.
    """
    d_sae, d_in = sae.W_dec.shape
    rows = as_vectors(activations, "activations", width=d_in)
    found: list[ActiveLatents] = []
    for part in row_slices(len(rows), d_sae):
        found += active_latents(encode(sae, rows[part]))
    return _measure(found, unit_rows(sae.W_dec))


def _measure(found: Sequence[ActiveLatents], units: Tensor) -> LatentStatistics:
    pairs, tops = _Tally(), _Tally()
    pair_cosine, top_cosine = np.full((2, len(found)), np.nan)
    share = np.full((len(found), RANKS), np.nan)
    for sample, active in enumerate(found):
        share[sample] = _shares(active)
        if len(active.ids) < 2:
            continue
        directions = units[torch.from_numpy(active.ids)]
        cosines = (directions @ directions.T).numpy()
        pair_cosine[sample] = pairs.add(cosines[np.triu_indices(len(cosines), k=1)])
        top = int(np.flatnonzero(active.ids == active.top)[0])
        top_cosine[sample] = tops.add(np.delete(cosines[top], top))
    return LatentStatistics(
        l0=np.array([len(active.ids) for active in found], dtype=np.int64),
        share=share,
        pair_cosine=pair_cosine,
        top_cosine=top_cosine,
        pairs=pairs.result(),
        tops=tops.result(),
    )


def _shares(active: ActiveLatents) -> Floats:
    shares = np.full(RANKS, np.nan)
    values = np.sort(active.values.astype(np.float64))[::-1]
    strongest = values[:RANKS]
    shares[: len(strongest)] = 100.0 * strongest / values.sum()
    return shares
