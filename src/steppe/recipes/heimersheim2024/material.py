"""What every shard of this study draws on: subject, SAE, prompts, moments, and the controls."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any

import numpy as np
import torch

from steppe.core.seeds import stream
from steppe.core.sites import LN_FINAL, Site
from steppe.paths import DirectionRequest
from steppe.propagation import SelfCheck, require_self_check
from steppe.recipes.heimersheim2024.outputs import LAST_LAYER, UNEMBEDDING, UNTRAINED
from steppe.recipes.heimersheim2024.settings import Settings
from steppe.recipes.starting import open_subject, resolved_settings
from steppe.recipes.stock import Stock, generators, take_stock
from steppe.recipes.using_saes import (
    check_belongs,
    fit_record,
    in_coordinates_of,
    trusted_quality,
)
from steppe.sae import FiringRates, Sae, SaeQuality, firing_rates, load_sae
from steppe.subject import Subject, with_random_weights

NORMALIZED = Site.parse(LN_FINAL)


@dataclass(frozen=True, eq=False)
class Material:
    """What every shard draws on; the same in every process that runs the same settings.

    Attributes:
        settings: What was asked.
        stock: The subject, the prompts, and their activations at the site.
        read: Where L2 and cosine are read.
        sae: The SAE of the site.
        quality: How it does on the run's own activations.
        rates: Its firing rates.
        check: The comparison of suffix and full forward pass.
    """

    settings: Settings
    stock: Stock
    read: Site
    sae: Sae
    quality: SaeQuality
    rates: FiringRates
    check: SelfCheck

    @property
    def subject(self) -> Subject:
        """The model under study."""
        return self.stock.subject

    @property
    def centered(self) -> bool:
        """Whether activations are in centred coordinates."""
        return self.subject.coordinates == "centered"

    @cached_property
    def controls(self) -> dict[str, Stock]:
        """By control: the same prompts where another subject or site is looked at."""
        limit = self.settings.control_samples
        last = self.subject.n_layers - 1
        drawn = with_random_weights(self.subject, stream(self.settings.seed, "random_weights"))
        found = {
            LAST_LAYER: (self.subject, Site(last, "resid_pre")),
            UNEMBEDDING: (self.subject, Site(last, "resid_post")),
            UNTRAINED: (drawn, self.stock.site),
        }
        for subject, site in found.values():
            require_self_check(subject, site, self.settings.prompt_length)
        return {name: self.stock.elsewhere(*where, limit) for name, where in found.items()}

    def generators(self, name: str, samples: range) -> Sequence[np.random.Generator]:
        """One generator per sample of the stream called ``name``."""
        return generators(self.settings.seed, name, samples)

    def request(self, stock: Stock, base: torch.Tensor, samples: range) -> DirectionRequest:
        """What directions from some samples' bases are made from.

        Args:
            stock: Where the bases are from.
            base: ``(sample, draw, d_model)``: each base, once per draw.
            samples: The samples.
        """
        return DirectionRequest(
            base=base,
            generators=lambda name: self.generators(name, samples),
            gaussian=stock.gaussian,
            pool=stock.pool,
            sae=self.sae,
            rates=self.rates,
            centered=self.centered,
        )

    @property
    def sae_fit(self) -> dict[str, Any]:
        """How the SAE does, for the run's provenance."""
        return fit_record({self.settings.sae_source: self.quality})

    def resolved(self) -> dict[str, Any]:
        """Everything that decides the run's numbers, as plain data."""
        return {
            **resolved_settings(self.settings, self.subject, self.stock.taken),
            "sae": self.settings.sae_source,
            "read": self.read.name,
            "sae_identity": asdict(self.sae.identity),
            "firing_rates": self.rates.source,
            "moments_from": len(self.stock.pool),
        }


def prepare(settings: Settings) -> Material:
    """Load everything and measure what all samples share.

    Raises:
        InputError: Subject, SAE, prompts or sites do not exist or do not fit each other.
    """
    settings, subject = open_subject(settings)
    site = Site.parse(settings.site).resolve(subject.n_layers)
    sae = load_sae(settings.sae_source, device=subject.device)
    check_belongs(sae, subject, settings, site)
    subject = in_coordinates_of({settings.sae_source: sae}, subject, settings.coordinates)
    check = require_self_check(subject, site, settings.prompt_length)
    stock = take_stock(subject, site, settings, [sae])
    return Material(
        settings=settings,
        stock=stock,
        read=Site.parse(settings.read).resolve(subject.n_layers),
        sae=sae,
        quality=trusted_quality(sae, subject, stock.pool, settings),
        rates=firing_rates(sae, stock.pool),
        check=check,
    )
