"""Targets of each kind for each base.

One function a kind, each reading what it needs from one request. `catalogue` lists them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from torch import Tensor

from steppe.activations.gaussian import Gaussian
from steppe.activations.isotropic import isotropic
from steppe.activations.pool_latents import PoolLatents
from steppe.activations.reconstruction import sae_reconstruction
from steppe.activations.structured import TOP_COSINE, synthetic_structured
from steppe.activations.synthetic import synthetic_baseline, synthetic_random
from steppe.core.errors import InputError
from steppe.core.readings import Reading
from steppe.sae.autoencoder import Autoencoder
from steppe.sae.rates import FiringRates


@dataclass(frozen=True, eq=False)
class TargetRequest:
    """All that targets can be made from.

    Attributes:
        base: Base activations, ``(sample, d_model)``.
        real: The real target of each base, ``(sample, d_model)``.
        generators: Gives one generator per sample for a stream's name.
        gaussian: The distribution that random targets are drawn from.
        sae: The SAE that synthetic targets are composed with.
        rates: The SAE's firing rates.
        pool: Real activations, float32 on the CPU, ``(pool, d_model)``, for kinds that need some.
        reading: ``text`` or ``code``.
        centered: Whether activations are in centred coordinates.
        top_cosine: Cosine sought by ``synthetic_structured``; the default is GPT-2's.
        fixed: Gives the fixed direction of a name, ``(d_model,)``.
        pool_latents: Gives the SAE's latents of the pool, for kinds that need them; None: they are
            made from the pool each time.
    """

    base: Tensor
    real: Tensor
    generators: Callable[[str], Sequence[np.random.Generator]]
    gaussian: Gaussian | None = None
    sae: Autoencoder | None = None
    rates: FiringRates | None = None
    pool: Tensor | None = None
    reading: Reading = "text"
    centered: bool = True
    top_cosine: float = TOP_COSINE
    fixed: Callable[[str], Tensor] | None = None
    pool_latents: Callable[[], PoolLatents] | None = None


def real_targets(request: TargetRequest) -> Tensor:
    """The real targets, as they are."""
    return request.real


def random_targets(request: TargetRequest) -> Tensor:
    """Draws with the mean and covariance of real activations."""
    if request.gaussian is None:
        raise lacking("random", "gaussian", "Gaussian.from_moments(estimate_moments(activations))")
    return request.gaussian.draw(request.generators("random_target"))


def isotropic_targets(request: TargetRequest) -> Tensor:
    """Draws that know nothing of the data; see `isotropic`."""
    return isotropic(
        request.base,
        request.real,
        request.generators("isotropic_target"),
        reading=request.reading,
        centered=request.centered,
    )


def synthetic_random_targets(request: TargetRequest) -> Tensor:
    """The base's latent activations on random latents; see `synthetic_random`."""
    sae, rates = sae_and_rates(request, "synthetic_random")
    generators = request.generators("synthetic_random_target")
    return synthetic_random(request.base, sae, rates, generators, reading=request.reading)


def synthetic_baseline_targets(request: TargetRequest) -> Tensor:
    """The base's latent activations on similarly sparse latents; see `synthetic_baseline`."""
    sae, rates = sae_and_rates(request, "synthetic_baseline")
    generators = request.generators("synthetic_baseline_target")
    return synthetic_baseline(request.base, sae, rates, generators, reading=request.reading)


def synthetic_structured_targets(request: TargetRequest) -> Tensor:
    """The base's latents rebuilt around another top latent; see `synthetic_structured`."""
    sae, rates = sae_and_rates(request, "synthetic_structured")
    return synthetic_structured(
        request.base, sae, rates, request.reading, cosine=float(request.top_cosine)
    )


def synthetic_structured_without_cosine_targets(request: TargetRequest) -> Tensor:
    """The same, the new top latent chosen by its firing rate alone."""
    sae, rates = sae_and_rates(request, "synthetic_structured_without_cosine")
    return synthetic_structured(request.base, sae, rates, request.reading, cosine=False)


def sae_reconstruction_targets(request: TargetRequest) -> Tensor:
    """What the SAE makes of the real targets."""
    return sae_reconstruction(request.real, _sae(request, "sae_reconstruction"))


def fixed_targets(request: TargetRequest, *, name: str) -> Tensor:
    """Along a fixed direction, as far from each base as its real target."""
    if request.fixed is None:
        raise lacking(name, "fixed directions", "give them as fixed=directions.of_name")
    base = request.base.double()
    distance = (request.real.double() - base).norm(dim=1, keepdim=True)
    placed: Tensor = base + distance * request.fixed(name).double()
    return placed.float()


def _sae(request: TargetRequest, kind: str) -> Autoencoder:
    if request.sae is None:
        raise lacking(kind, "SAE", "give an SAE of the model's site, or leave out this kind")
    return request.sae


def sae_and_rates(request: TargetRequest, kind: str) -> tuple[Autoencoder, FiringRates]:
    """What a kind composes targets with.

    Raises:
        InputError: The request lacks one of them.
    """
    if request.rates is None:
        raise lacking(kind, "firing rates", "firing_rates(sae, activations)")
    return _sae(request, kind), request.rates


def lacking(kind: str, what: str, fix: str) -> InputError:
    """The error of a kind whose request lacks what it is made from."""
    return InputError(f"targets of kind {kind!r}", got=f"no {what}", expected=what, fix=fix)
