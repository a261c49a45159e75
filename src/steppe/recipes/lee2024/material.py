"""What every shard of this study draws on: subject, SAEs, prompts, moments and pools."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from steppe.activations import Gaussian, Moments, estimate_moments
from steppe.core.seeds import stream
from steppe.core.sites import Position, Site
from steppe.paths import DirectionRequest
from steppe.propagation import (
    Prefix,
    SelfCheck,
    Suffix,
    build_prefix,
    read_residuals,
    require_self_check,
)
from steppe.readouts import CleanOutputs, clean_outputs
from steppe.recipes.lee2024.plan import Plan, make_plan
from steppe.recipes.lee2024.saes import UsedSae, use_sae
from steppe.recipes.lee2024.settings import MIDDLE, Settings
from steppe.recipes.starting import open_subject, resolved_settings
from steppe.recipes.stock import choose_rows, four_digits
from steppe.recipes.study_prompts import StudyPrompts, take_prompts
from steppe.recipes.using_saes import (
    check_belongs,
    fit_record,
    in_coordinates_of,
    open_saes,
    trusted_quality,
)
from steppe.subject import Prompts, Subject

# Norm of an ordinary activation of GPT-2 before block 6: the authors' notebooks print 81.6 for one
# token, and a mean of 102.3 over all, which the first position, far longer, has a part in.
PAPER_NORM = 80.0
CALIBRATION_SEQUENCES = 200


@dataclass(frozen=True, eq=False)
class Place:
    """One site, and what is drawn from there.

    Attributes:
        site: The site.
        pool: Real activations of ordinary positions (all but the first), ``(candidate, d_model)``.
        moments: Their mean and covariance.
        gaussian: The Gaussian with these moments.
        gaussian_with_first: The same with the first positions among the activations.
    """

    site: Site
    pool: Tensor
    moments: Moments
    gaussian: Gaussian
    gaussian_with_first: Gaussian


@dataclass(frozen=True, eq=False)
class Opened:
    """One prompt that is about to be measured.

    Attributes:
        prefix: What all its points share.
        clean: Its own outputs.
        base: Its activations that are moved, ``(1, position, d_model)``, or ``(1, d_model)`` at the
            last position.
        prompt: All of its activations, ``(1, position, d_model)``; None where ``base`` has them.
    """

    prefix: Prefix
    clean: CleanOutputs
    base: Tensor
    prompt: Tensor | None = None


@dataclass(frozen=True, eq=False)
class Material:
    """What every shard draws on; the same in every process that runs the same settings.

    Attributes:
        settings: What was asked.
        subject: The model under study.
        taken: The sequences, each with a first token that starts a text.
        base_rows: Which sequences are measured, ``(sample,)``.
        places: By the name of each site that is measured.
        saes: By label.
        plan: What is measured.
        scale: Lengths in this subject per length in GPT-2.
        check: The comparison of suffix and full forward pass.
    """

    settings: Settings
    subject: Subject
    taken: StudyPrompts
    base_rows: NDArray[np.int64]
    places: Mapping[str, Place]
    saes: Mapping[str, UsedSae]
    plan: Plan
    scale: float
    check: SelfCheck

    @property
    def prompts(self) -> Prompts:
        """The sequences."""
        return self.taken.prompts

    @property
    def lengths(self) -> NDArray[np.float64]:
        """The lengths that are scanned, from 0 on, in the subject's own units, ``(step,)``."""
        return np.array(self.settings.paper_lengths) * self.scale

    def suffix(self, place: Place) -> Suffix:
        """The part of the subject after a site; a context manager."""
        return Suffix(self.subject, place.site, read=[], logits=True)

    def open_prompt(self, suffix: Suffix, place: Place, sample: int) -> Opened:
        """Run one sample's sequence as it is."""
        tokens = torch.from_numpy(self.prompts.tokens[self.base_rows[sample]])
        following = None
        if place.site.position != "all":
            tokens, following = tokens[:-1], tokens[-1:]
        prefix = build_prefix(self.subject, tokens, place.site)
        clean = clean_outputs(suffix, prefix, following)
        base, prompt = prefix.base.float().cpu()[None], None
        if following is not None:
            prompt = read_residuals(self.subject, tokens[None], _everywhere(place.site))
        return Opened(prefix, clean, base, prompt)

    def request(
        self, place: Place, opened: Opened, sample: int, sae: str = "", *, with_first: bool = False
    ) -> DirectionRequest:
        """What the directions of one sample are made from."""
        used = self.saes.get(sae)
        seed = self.settings.seed
        return DirectionRequest(
            base=opened.base,
            generators=lambda name: [stream(seed, name, sample)],
            gaussian=place.gaussian_with_first if with_first else place.gaussian,
            pool=place.pool,
            sae=used.sae if used else None,
            rates=used.rates if used else None,
            centered=self.subject.coordinates == "centered",
            prompt=opened.prompt,
            ordinary_from=1,
        )

    @property
    def sae_fit(self) -> dict[str, Any]:
        """How each SAE does, for the run's provenance."""
        return fit_record({label: used.quality for label, used in self.saes.items()})

    def resolved(self) -> dict[str, Any]:
        """Everything that decides the run's numbers, as plain data."""
        return {
            **resolved_settings(self.settings, self.subject, self.taken),
            "sae_sources": list(self.settings.sae_sources),
            "site": self.plan.site,
            "paper_lengths": list(self.settings.paper_lengths),
            "scale": self.scale,
            "first_position": first_position(self.settings),
            "sae_identity": {label: asdict(used.sae.identity) for label, used in self.saes.items()},
            "moments_from": len(next(iter(self.places.values())).pool),
        }


def first_position(settings: Settings) -> str:
    """Whether substitutions replace the activation of the first token."""
    return settings.first_position or ("replaced" if settings.is_paper else "kept")


def prepare(settings: Settings) -> Material:
    """Load everything and measure what all samples share.

    Raises:
        InputError: Subject, SAEs, prompts or site do not exist or do not fit each other.
    """
    settings, subject = open_subject(settings)
    middle = f"blocks.{subject.n_layers // 2}.hook_resid_pre"
    main = Site.parse(middle if settings.site == MIDDLE else settings.site)
    main = main.resolve(subject.n_layers)
    saes = open_saes(settings.sae_sources, subject.device)
    for sae in saes.values():
        check_belongs(sae, subject, settings)
    subject = in_coordinates_of(saes, subject, settings.coordinates)
    position: Position = "all" if settings.positions == "all" else -1
    # At one position the sequence's last token is what follows, not what is run.
    length = settings.prompt_length - (position != "all")
    check = require_self_check(subject, replace(main, position=position), length)
    taken = take_prompts(settings, subject, [])
    prompts = taken.prompts
    # The first position of a sequence is not among the activations behind the moments.
    per_prompt = settings.prompt_length - 1
    base_rows, pool_rows = choose_rows(settings, len(prompts), subject.d_model, per_prompt)
    names = dict.fromkeys([main.name, *(sae.site.name for sae in saes.values())])
    places = {
        name: _make_place(subject, prompts.tokens[pool_rows], Site.parse(name, position))
        for name in names
    }
    used = {}
    for label, sae in saes.items():
        pool = places[sae.site.name].pool
        used[label] = use_sae(label, sae, pool, trusted_quality(sae, subject, pool, settings))
    plan = make_plan(main.name, [one.facts for one in used.values()], settings.only)
    return Material(
        settings=settings,
        subject=subject,
        taken=taken,
        base_rows=base_rows,
        places=places,
        saes=used,
        plan=plan,
        scale=settings.scale or _measured_scale(settings, subject, prompts, main),
        check=check,
    )


def _make_place(subject: Subject, tokens: NDArray[np.int64], site: Site) -> Place:
    activations = read_residuals(subject, tokens, _everywhere(site), batch_size=32)
    pool = activations[:, 1:].flatten(0, 1)
    moments = estimate_moments(pool)
    with_first = Gaussian.from_moments(estimate_moments(activations.flatten(0, 1)))
    return Place(site, pool, moments, Gaussian.from_moments(moments), with_first)


def _everywhere(site: Site) -> Site:
    return Site(site.layer, site.point, "all")


def _measured_scale(settings: Settings, subject: Subject, prompts: Prompts, site: Site) -> float:
    """Mean norm over GPT-2's, on sequences that are the same for every seed; 1 on GPT-2 itself."""
    if settings.is_paper:
        return 1.0
    order = stream(0, "calibration_prompts").permutation(len(prompts))[:CALIBRATION_SEQUENCES]
    read = read_residuals(subject, prompts.tokens[order], _everywhere(site), batch_size=32)
    norms = read.norm(dim=-1)
    return four_digits(float(norms[:, 1:].mean()) / PAPER_NORM)
