"""The SAEs of a study: how they are opened, and what is known of each at its site."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from steppe.activations import PoolLatents
from steppe.core.errors import InputError
from steppe.core.sites import Site
from steppe.models import Model
from steppe.sae import FiringRates, Sae, SaeQuality, firing_rates, load_sae
from steppe.sae.autoencoder import Autoencoder, LinearDecoder, as_autoencoder
from steppe.settings.study_settings import SiteSettings
from steppe.study.using_saes import (
    check_belongs,
    device_of_saes,
    in_coordinates_of,
    open_saes,
    short_name,
    trusted_quality,
)

# Activations that an SAE object is told from another by.
_TRIED = 64


@dataclass(frozen=True, eq=False)
class UsedSae:
    """An SAE of a study.

    Attributes:
        sae: The SAE.
        site: Where it is used.
        read_pool: Gives real activations of that site, ``(candidate, d_model)``.
        model: The model, in its coordinates.
        settings: Whether it is accepted however it does.
    """

    sae: Autoencoder
    site: Site
    read_pool: Callable[[], Tensor]
    model: Model
    settings: SiteSettings

    @cached_property
    def rates(self) -> FiringRates:
        """Its firing rates."""
        return firing_rates(self.sae, self.read_pool())

    @cached_property
    def pool_latents(self) -> PoolLatents:
        """Its latents that are active in the pool."""
        return PoolLatents.of(self.read_pool(), self.sae)

    @cached_property
    def quality(self) -> SaeQuality:
        """How it does on the pool; one that does badly is refused unless accepted."""
        return trusted_quality(self.sae, self.model, self.read_pool(), self.settings)

    @cached_property
    def identity(self) -> dict[str, Any]:
        """Which SAE it is, as plain data with ``source``."""
        if isinstance(self.sae, Sae):
            return {**asdict(self.sae.identity), "content": self.sae.content}
        # What it does on the run's own activations tells encoders, thresholds and biases apart.
        with torch.no_grad():
            latents = self.sae.encode(self.read_pool()[:_TRIED].to(self.sae.W_dec))
            tensors = (self.sae.W_dec.detach(), latents, self.sae.decode(latents))
        digest = hashlib.sha256()
        for tensor in tensors:
            digest.update(tensor.float().cpu().contiguous().numpy().tobytes())
        return {"source": label_of(self.sae), "sha256": digest.hexdigest()}


def label_of(sae: Autoencoder) -> str:
    """What the only SAE of a study is called."""
    if isinstance(sae, Sae):
        return sae.identity.source
    made = sae.sae if isinstance(sae, LinearDecoder) else sae
    return f"an object of {type(made).__name__}"


def open_for(
    settings: SiteSettings, model: Model, given: Autoencoder | None
) -> tuple[Mapping[str, Autoencoder], Model]:
    """The SAEs of a study by label, and the model in their coordinates.

    Raises:
        InputError: One does not fit the model or the site, or two each other.
    """
    has_own_site = settings.sae_site is None
    if given is not None:
        given = as_autoencoder(given)
        name = short_name(given) if has_own_site and isinstance(given, Sae) else label_of(given)
        saes: dict[str, Autoencoder] = {name: given}
    elif has_own_site:
        saes = {**open_saes(settings.sae_sources, device_of_saes(settings, model))}
    else:
        one = load_sae(settings.sae_source, device=device_of_saes(settings, model))
        saes = {label_of(one): one}
    read = {label: sae for label, sae in saes.items() if isinstance(sae, Sae)}
    for label, sae in saes.items():
        if label in read:
            site = None if has_own_site else settings.site_in(model.n_layers)
            check_belongs(read[label], model, settings, site)
        elif sae.W_dec.shape[1] != model.d_model:
            raise InputError(
                "SAE",
                got=f"W_dec of shape {tuple(sae.W_dec.shape)}",
                expected=f"(latent, d_model = {model.d_model})",
                fix="give an SAE that was trained on this model",
            )
    return saes, in_coordinates_of(read, model, settings.coordinates) if read else model
