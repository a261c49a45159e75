"""What every shard of this study draws on: subject, SAE, prompts, moments, rates and scales."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
import torch

from steppe.core.seeds import stream
from steppe.core.sites import Site
from steppe.propagation import SelfCheck, Suffix, read_residuals, require_self_check
from steppe.readouts import measure_path
from steppe.recipes.giglemiani2024.scales import Scales, Typical, choose_scales
from steppe.recipes.giglemiani2024.settings import Settings
from steppe.recipes.starting import open_subject, resolved_settings
from steppe.recipes.stock import Stock, four_digits, generators, take_stock
from steppe.recipes.using_saes import (
    check_belongs,
    fit_record,
    in_coordinates_of,
    trusted_quality,
)
from steppe.sae import FiringRates, Sae, SaeQuality, firing_rates, load_sae
from steppe.subject import Subject

CALIBRATION_PAIRS = 200


@dataclass(frozen=True, eq=False)
class Material:
    """What every shard draws on; the same in every process that runs the same settings.

    Attributes:
        settings: What was asked.
        stock: The subject, the prompts, and their activations at the site.
        read: Where L2 and cosine are read.
        sae: The SAE.
        quality: How the SAE does on the run's own activations.
        rates: The SAE's firing rates.
        scales: The run's constants in the subject's own units.
        check: The comparison of suffix and full forward pass.
    """

    settings: Settings
    stock: Stock
    read: Site
    sae: Sae
    quality: SaeQuality
    rates: FiringRates
    scales: Scales
    check: SelfCheck

    @property
    def subject(self) -> Subject:
        """The model under study."""
        return self.stock.subject

    def generators(self, name: str, samples: range) -> Sequence[np.random.Generator]:
        """One generator per sample of the stream called ``name``."""
        return generators(self.settings.seed, name, samples)

    def suffix(self) -> Suffix:
        """The part of the subject after the site; a context manager."""
        return Suffix(self.subject, self.stock.site, read=[self.read], logits=True)

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
            "step_size": self.scales.step_size,
            "threshold": self.scales.threshold,
            "scales": self.scales.as_dict(),
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
    read = Site.parse(settings.read).resolve(subject.n_layers)
    sae = load_sae(settings.sae_source, device=subject.device)
    check_belongs(sae, subject, settings, site)
    subject = in_coordinates_of({settings.sae_source: sae}, subject, settings.coordinates)
    check = require_self_check(subject, site, settings.prompt_length)
    stock = take_stock(subject, site, settings, [sae])
    material = Material(
        settings=settings,
        stock=stock,
        read=read,
        sae=sae,
        quality=trusted_quality(sae, subject, stock.pool, settings),
        rates=firing_rates(sae, stock.pool),
        scales=choose_scales(settings, Typical.unknown(), is_paper=True),
        check=check,
    )
    is_paper = settings.is_published_setup
    return replace(material, scales=choose_scales(settings, _typical(material), is_paper=is_paper))


def _typical(material: Material) -> Typical:
    """Measure typical distances on pairs that are the same for every seed and sample count."""
    stock = material.stock
    order = stream(0, "calibration_prompts").permutation(len(stock.prompts))
    pairs = min(CALIBRATION_PAIRS, len(order) // 2)
    ends = read_residuals(stock.subject, stock.prompts.tokens[order[: 2 * pairs]], stock.site)
    base, target = ends[:pairs], ends[pairs:]
    center = material.sae.b_dec.float().cpu()
    cosine = torch.cosine_similarity(base - center, target - center, dim=1)
    moved = []
    with material.suffix() as suffix:
        for row, points in zip(order[:pairs], torch.stack([base, target], dim=1), strict=True):
            found = measure_path(suffix, stock.prefix(row), points, ["l2"], material.read)
            moved.append(found["l2"][1])
    return Typical(
        pairs=pairs,
        target_distance=four_digits(float((target - base).norm(dim=1).mean())),
        output_distance=four_digits(float(np.mean(moved))),
        cosine=four_digits(float(cosine.mean())),
    )
