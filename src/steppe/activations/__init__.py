"""Where vectors come from: real, random, and composed from the latents of an SAE.

Depends on core and sae. Everything drawn comes from generators given by the caller, one per sample,
so that adding a sample changes no other.
"""

from steppe.activations.catalogue import KINDS, Kind, find_kind, make_targets
from steppe.activations.gaussian import Gaussian
from steppe.activations.isotropic import isotropic
from steppe.activations.latent_statistics import (
    COSINE_EDGES,
    RANKS,
    CosineCounts,
    LatentStatistics,
    latent_statistics,
)
from steppe.activations.moments import Moments, estimate_moments, estimate_moments_of_chunks
from steppe.activations.pool_latents import PoolLatents
from steppe.activations.real import RealTargets, draw_real_targets
from steppe.activations.reconstruction import sae_reconstruction, without_latents
from steppe.activations.structured import synthetic_structured
from steppe.activations.synthetic import synthetic_baseline, synthetic_random
from steppe.activations.tails import Tails, ordinary, tails
from steppe.activations.targets import TargetRequest

__all__ = [
    "COSINE_EDGES",
    "KINDS",
    "RANKS",
    "CosineCounts",
    "Gaussian",
    "Kind",
    "LatentStatistics",
    "Moments",
    "PoolLatents",
    "RealTargets",
    "Tails",
    "TargetRequest",
    "draw_real_targets",
    "estimate_moments",
    "estimate_moments_of_chunks",
    "find_kind",
    "isotropic",
    "latent_statistics",
    "make_targets",
    "ordinary",
    "sae_reconstruction",
    "synthetic_baseline",
    "synthetic_random",
    "synthetic_structured",
    "tails",
    "without_latents",
]
