"""Sparse autoencoders: read in SAELens' and other public formats, encode, decode, firing rates.

Depends on core only, and reads the files itself: SAELens is never imported.
"""

from steppe.sae.autoencoder import Autoencoder, as_autoencoder
from steppe.sae.belonging import check_fits, doubts
from steppe.sae.config import SaeConfig
from steppe.sae.loading import load_sae, read_sae
from steppe.sae.model import Sae, SaeIdentity
from steppe.sae.quality import SaeQuality, quality
from steppe.sae.rates import FiringRates, as_rates, firing_rates, measured_rates
from steppe.sae.releases import Release, releases

__all__ = [
    "Autoencoder",
    "FiringRates",
    "Release",
    "Sae",
    "SaeConfig",
    "SaeIdentity",
    "SaeQuality",
    "as_autoencoder",
    "as_rates",
    "check_fits",
    "doubts",
    "firing_rates",
    "load_sae",
    "measured_rates",
    "quality",
    "read_sae",
    "releases",
]
