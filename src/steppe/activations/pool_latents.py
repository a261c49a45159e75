"""Which latents of an SAE are active in real activations: how strongly, and which ones together.

Kept sparse: pairs of a wide SAE's latents are counted a latent at a time, never as one matrix.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from steppe.activations.composition import ActiveLatents, active_latents
from steppe.activations.vectors import Vectors, as_vectors
from steppe.sae.autoencoder import Autoencoder, encode
from steppe.sae.blocks import row_slices

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class PoolLatents:
    """The active latents of real activations.

    Attributes:
        by_activation: Values, sparse by rows, ``(activation, latent)``.
    """

    by_activation: sparse.csr_array
    _together: dict[int, Floats] = field(default_factory=dict, init=False, repr=False)
    _by_latent: sparse.csc_array = field(init=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_by_latent", self.by_activation.tocsc())

    @classmethod
    def of(cls, pool: Vectors, sae: Autoencoder) -> PoolLatents:
        """Encode real activations, ``(activation, d_model)``."""
        d_sae, d_in = sae.W_dec.shape
        rows = as_vectors(pool, "pool", width=d_in)
        found: list[ActiveLatents] = []
        for part in row_slices(len(rows), d_sae):
            found += active_latents(encode(sae, rows[part]))
        return cls.of_active(found, d_sae)

    @classmethod
    def of_active(cls, found: Sequence[ActiveLatents], d_sae: int) -> PoolLatents:
        """From the active latents of each activation."""
        ends = np.cumsum([0, *(len(active.ids) for active in found)])
        ids = np.concatenate([active.ids for active in found])
        values = np.concatenate([active.values for active in found])
        return cls(sparse.csr_array((values, ids, ends), shape=(len(found), d_sae)))

    @property
    def counts(self) -> Floats:
        """In how many activations each latent is active, ``(latent,)``."""
        return np.diff(self._by_latent.indptr).astype(np.float64)

    def values_of(self, latent: int) -> NDArray[np.float32]:
        """All values of a latent where it is active."""
        start, stop = self._by_latent.indptr[latent : latent + 2]
        found: NDArray[np.float32] = self._by_latent.data[start:stop]
        return found

    def together(self, latent: int) -> Floats:
        """How often each latent is active beside this one, itself 0: activations, ``(latent,)``."""
        if latent not in self._together:
            start, stop = self._by_latent.indptr[latent : latent + 2]
            beside = self.by_activation[self._by_latent.indices[start:stop]].indices
            counts = np.bincount(beside, minlength=self.by_activation.shape[1]).astype(np.float64)
            counts[latent] = 0
            self._together[latent] = counts
        return self._together[latent]

    def log_lift(self, latent: int) -> Floats:
        """How much oftener than by chance each latent is active beside this one, as a logarithm.

        Counts are drawn towards chance by one activation, so that what was never seen together is
        rare and not impossible. ``(latent,)``; of itself it means nothing.
        """
        counts = self.counts
        chance = counts * counts[latent] / self.by_activation.shape[0]
        found: Floats = np.log1p(self.together(latent)) - np.log1p(chance)
        return found
