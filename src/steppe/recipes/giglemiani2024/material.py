"""What every shard of this study draws on: subject, SAE, prompts, moments, rates and scales."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from steppe.activations import Gaussian, Moments
from steppe.core.seeds import stream
from steppe.core.sites import Site
from steppe.propagation import (
    Prefix,
    SelfCheck,
    Suffix,
    build_prefix,
    require_self_check,
)
from steppe.readouts import measure_path
from steppe.recipes.giglemiani2024.scales import Scales, Typical, choose_scales
from steppe.recipes.giglemiani2024.settings import Settings
from steppe.recipes.stock import check_sae_site, generators, take_stock
from steppe.sae import FiringRates, Sae, firing_rates, load_sae
from steppe.subject import Prompts, Subject, load_subject

CALIBRATION_PAIRS = 200


@dataclass(frozen=True, eq=False)
class Material:
    """What every shard draws on; the same in every process that runs the same settings.

    Attributes:
        settings: What was asked.
        subject: The model under study.
        site: Where activations are moved.
        read: Where L2 and cosine are read.
        sae: The SAE.
        rates: The SAE's firing rates.
        prompts: The prompts.
        pool: Activations at the site that real targets are drawn from, and that moments and own
            firing rates are measured on, ``(candidate, d_model)``.
        pool_rows: Which prompts these are, ``(candidate,)``.
        base_rows: Which prompts the bases are, ``(sample,)``.
        moments: Mean and covariance of ``pool``.
        gaussian: The Gaussian with these moments.
        scales: The run's constants in the subject's own units.
        check: The comparison of suffix and full forward pass.
    """

    settings: Settings
    subject: Subject
    site: Site
    read: Site
    sae: Sae
    rates: FiringRates
    prompts: Prompts
    pool: Tensor
    pool_rows: NDArray[np.int64]
    base_rows: NDArray[np.int64]
    moments: Moments
    gaussian: Gaussian
    scales: Scales
    check: SelfCheck

    def prefix(self, row: int) -> Prefix:
        """The prefix of one prompt."""
        return build_prefix(self.subject, torch.from_numpy(self.prompts.tokens[row]), self.site)

    def generators(self, name: str, samples: range) -> Sequence[np.random.Generator]:
        """One generator per sample of the stream called ``name``."""
        return generators(self.settings.seed, name, samples)

    def suffix(self) -> Suffix:
        """The part of the subject after the site; a context manager."""
        return Suffix(self.subject, self.site, read=[self.read], logits=True)

    def resolved(self) -> dict[str, Any]:
        """Everything that decides the run's numbers, as plain data."""
        asked = self.settings.model_dump(mode="json")
        return {
            **asked,
            "sae": self.settings.sae_source,
            "prompts": self.settings.prompts_source,
            # Which one of several like devices computes a shard changes nothing.
            "device": self.subject.device.type,
            "coordinates": self.subject.coordinates,
            "read": self.read.name,
            "step_size": self.scales.step_size,
            "threshold": self.scales.threshold,
            "scales": self.scales.as_dict(),
            "subject_identity": asdict(self.subject.identity),
            "sae_identity": asdict(self.sae.identity),
            "firing_rates": self.rates.source,
            "prompts_identity": {"source": self.prompts.source, "sha256": self.prompts.sha256},
            "moments_from": len(self.pool),
        }


def prepare(settings: Settings) -> Material:
    """Load everything and measure what all samples share.

    Raises:
        InputError: Subject, SAE, prompts or sites do not exist or do not fit each other.
    """
    torch.set_float32_matmul_precision("highest")
    subject = load_subject(
        settings.subject,
        coordinates=settings.coordinates,
        device=settings.device,
        dtype=settings.dtype,
        engine=settings.engine,
    )
    site = Site.parse(settings.site).resolve(subject.n_layers)
    read = Site.parse(settings.read).resolve(subject.n_layers)
    sae = load_sae(settings.sae_source, subject=subject, device=subject.device)
    check_sae_site(sae, site)
    check = require_self_check(subject, site)
    stock = take_stock(subject, site, settings)
    material = Material(
        settings=settings,
        subject=subject,
        site=site,
        read=read,
        sae=sae,
        rates=firing_rates(sae, stock.pool),
        prompts=stock.prompts,
        pool=stock.pool,
        pool_rows=stock.pool_rows,
        base_rows=stock.base_rows,
        moments=stock.moments,
        gaussian=stock.gaussian,
        scales=choose_scales(settings, Typical.unknown(), is_paper=True),
        check=check,
    )
    is_paper = settings.names_paper_subject and subject.identity.source == "hub"
    return replace(material, scales=choose_scales(settings, _typical(material), is_paper=is_paper))


def _typical(material: Material) -> Typical:
    """Measure typical distances on pairs that are the same for every seed and sample count."""
    order = stream(0, "calibration_prompts").permutation(len(material.prompts.tokens))
    pairs = min(CALIBRATION_PAIRS, len(order) // 2)
    prefixes = [material.prefix(row) for row in order[:pairs]]
    ends = [material.prefix(row) for row in order[pairs : 2 * pairs]]
    base = torch.stack([prefix.base.float().cpu() for prefix in prefixes])
    target = torch.stack([prefix.base.float().cpu() for prefix in ends])
    center = material.sae.b_dec.float().cpu()
    cosine = torch.cosine_similarity(base - center, target - center, dim=1)
    moved = []
    with material.suffix() as suffix:
        for prefix, points in zip(prefixes, torch.stack([base, target], dim=1), strict=True):
            moved.append(measure_path(suffix, prefix, points, ["l2"], material.read)["l2"][1])
    return Typical(
        pairs=pairs,
        target_distance=_rounded(float((target - base).norm(dim=1).mean())),
        output_distance=_rounded(float(np.mean(moved))),
        cosine=_rounded(float(cosine.mean())),
    )


def _rounded(value: float) -> float:
    """Four digits: what depends on it shall not hang on a machine's last bit."""
    return float(f"{value:.4g}")
