"""Properties of the SAE latents of real activations (Appendix E)."""

from __future__ import annotations

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from steppe.activations import COSINE_EDGES, RANKS, latent_statistics
from steppe.core.axes import RANK, SAMPLE
from steppe.recipes.giglemiani2024.material import Material
from steppe.recipes.giglemiani2024.sensitivity import attributes

BIN = "bin"


def measure(material: Material) -> xr.Dataset:
    """Measure L0, shares by rank and cosines on real activations.

    Returns:
        ``l0 (sample)``, ``share (sample, rank)`` in percent, mean cosines per activation
        ``pair_cosine`` and ``top_cosine (sample)``, counts of all cosines ``pair_count`` and
        ``top_count (bin)``, ``norm (sample)``; the pooled means in ``attrs``.
    """
    activations = material.stock.pool[: material.settings.latent_samples]
    found = latent_statistics(activations, material.sae)
    return xr.Dataset(
        {
            "l0": _variable(SAMPLE, found.l0, "latents", "active latents"),
            "share": ((SAMPLE, RANK), found.share, {"unit": "%", "long_name": "share of the sum"}),
            "pair_cosine": _variable(SAMPLE, found.pair_cosine, "1", "mean cosine of pairs"),
            "top_cosine": _variable(SAMPLE, found.top_cosine, "1", "mean cosine to the top"),
            "norm": _variable(SAMPLE, activations.norm(dim=1).numpy(), "residual stream", "norm"),
            "pair_count": _variable(BIN, found.pairs.counts, "pairs", "pairs per cosine bin"),
            "top_count": _variable(BIN, found.tops.counts, "pairs", "pairs with the top per bin"),
        },
        coords={
            RANK: np.arange(1, RANKS + 1),
            "bin_low": _variable(BIN, COSINE_EDGES[:-1], "1", "lower edge"),
            "bin_high": _variable(BIN, COSINE_EDGES[1:], "1", "upper edge"),
        },
        attrs={
            **attributes(material),
            "pooled_pair_cosine": found.pairs.mean,
            "pooled_top_cosine": found.tops.mean,
            "sae": material.sae.identity.source,
        },
    )


def _variable(
    dim: str, values: NDArray[np.generic], unit: str, name: str
) -> tuple[str, NDArray[np.generic], dict[str, str]]:
    return dim, values, {"unit": unit, "long_name": name}
