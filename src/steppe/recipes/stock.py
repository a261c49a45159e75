"""What are bases and random activations drawn from: which prompts, and what they hold at a site?"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from steppe.activations import Gaussian, Moments, estimate_moments
from steppe.core.errors import InputError
from steppe.core.seeds import stream
from steppe.core.sites import Site
from steppe.propagation import Prefix, build_prefix, read_residuals, weights_stay
from steppe.recipes.study_prompts import StudyPrompts, take_prompts
from steppe.recipes.study_settings import StudySettings
from steppe.sae import Sae
from steppe.subject import Prompts, Subject


@dataclass(frozen=True, eq=False)
class Stock:
    """Prompts of a subject, and real activations at one of its sites.

    Attributes:
        subject: The model.
        site: Where activations are read, and moved.
        taken: The prompts, and what is recorded of them.
        base_rows: Which prompts the bases are, ``(sample,)``.
        pool_rows: Which prompts real targets are drawn from, ``(candidate,)``.
        pool: Their activations, ``(candidate, d_model)``; the moments are measured on them.
        moments: Mean and covariance of ``pool``.
        gaussian: The Gaussian with these moments.
    """

    subject: Subject
    site: Site
    taken: StudyPrompts
    base_rows: NDArray[np.int64]
    pool_rows: NDArray[np.int64]
    pool: Tensor
    moments: Moments
    gaussian: Gaussian

    @property
    def prompts(self) -> Prompts:
        """The prompts."""
        return self.taken.prompts

    def prefix(self, row: int) -> Prefix:
        """The prefix of one prompt."""
        return build_prefix(self.subject, torch.from_numpy(self.prompts.tokens[row]), self.site)

    def prefixes(self, rows: Iterable[int]) -> list[Prefix]:
        """The prefixes of some prompts."""
        with weights_stay():
            return [self.prefix(row) for row in rows]

    def elsewhere(self, subject: Subject, site: Site, limit: int) -> Stock:
        """The same prompts' activations at another site, or of another subject.

        Args:
            subject: The model.
            site: The site.
            limit: Real activations that are read, at most.
        """
        rows = (self.base_rows, self.pool_rows[: max(limit, subject.d_model + 1)])
        return _stock(subject, site, self.taken, rows)


def take_stock(subject: Subject, site: Site, settings: StudySettings, saes: Sequence[Sae]) -> Stock:
    """Choose prompts and read what they hold at a site.

    Args:
        subject: The model under study.
        site: The site.
        settings: What was asked.
        saes: The study's SAEs: they may say whether prompts begin with BOS.

    Raises:
        InputError: There are too few prompts, or they do not fit the subject.
    """
    taken = take_prompts(settings, subject, saes)
    rows = choose_rows(settings, len(taken.prompts), subject.d_model)
    return _stock(subject, site, taken, rows)


def choose_rows(
    settings: StudySettings, rows: int, d_model: int, per_prompt: int = 1
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Prompts of the bases (without replacement) and of the pool behind the moments.

    Args:
        settings: The number of samples, and of activations behind the moments.
        rows: Prompts there are.
        d_model: Width of the residual stream.
        per_prompt: Activations that each prompt gives to the pool.

    Raises:
        InputError: There are too few prompts.
    """
    needed = max(settings.samples, -(-(d_model + 1) // per_prompt))
    if rows < needed:
        raise InputError(
            f"prompts {settings.prompts_source}",
            got=f"{rows} prompts of {settings.prompt_length} tokens",
            expected=f"at least {needed}: {settings.samples} samples, and more than d_model = "
            f"{d_model} activations for a covariance",
            fix="give more text, or ask for fewer --samples"
            if rows < settings.max_prompts
            else f"raise max_prompts, which is {rows}",
        )
    bases = stream(settings.seed, "base_prompts").permutation(rows)[: settings.samples]
    wanted = -(-settings.moments_samples // per_prompt)
    pool = stream(settings.seed, "moment_prompts").permutation(rows)[:wanted]
    return bases, pool


def four_digits(value: float) -> float:
    """A measured scale: what depends on it shall not hang on a machine's last bit."""
    return float(f"{value:.4g}")


def generators(seed: int, name: str, samples: range) -> Sequence[np.random.Generator]:
    """One generator per sample of the stream called ``name``."""
    return [stream(seed, name, sample) for sample in samples]


def _stock(
    subject: Subject,
    site: Site,
    taken: StudyPrompts,
    rows: tuple[NDArray[np.int64], NDArray[np.int64]],
) -> Stock:
    bases, pool_rows = rows
    pool = read_residuals(subject, taken.prompts.tokens[pool_rows], site)
    moments = estimate_moments(pool)
    gaussian = Gaussian.from_moments(moments)
    return Stock(subject, site, taken, bases, pool_rows, pool, moments, gaussian)
