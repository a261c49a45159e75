"""Synthetic activations whose latents are drawn: at random, or matched in firing rate.

Giglemiani et al. 2024, section 4.3 and Appendix A. The ``code`` reading repeats what the authors'
code does; the ``text`` reading does what the paper says, with every choice it leaves open settled
in favour of distinct latents that do fire.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import ArrayLike
from torch import Tensor

from steppe.activations.composition import (
    ActiveLatents,
    Ids,
    check_enough,
    compose,
    one_generator_each,
)
from steppe.activations.rate_ranking import RateRanking
from steppe.activations.vectors import Vectors, as_vectors
from steppe.core.readings import Reading, check_reading
from steppe.sae.autoencoder import Autoencoder
from steppe.sae.rates import FiringRates, as_rates

Generators = Sequence[np.random.Generator]
Choose = Callable[[ActiveLatents, np.random.Generator], Ids]
"""Chooses one latent for each active one, in their order."""

POOL = 10
"""Number of latents of similar firing rate that a replacement is drawn from (section 4.3)."""


def synthetic_random(
    base: Vectors,
    sae: Autoencoder,
    rates: FiringRates | ArrayLike,
    generators: Generators,
    *,
    reading: Reading = "text",
) -> Tensor:
    """Give the activations of a base's active latents to random latents (Appendix A).

    Latents are drawn from those that fire; in the ``text`` reading all different. In the ``code``
    reading they are drawn with replacement and values are moved one after the other within the
    base's own latents, so that a value can be overwritten and fewer latents remain.

    Args:
        base: Base activations, ``(sample, d_model)``.
        sae: The SAE.
        rates: Firing rates, linear, ``(latent,)``.
        generators: One per sample.
        reading: ``text`` or ``code``.

    Returns:
        Synthetic activations, float32 on the CPU, ``(sample, d_model)``.
    """
    alive = np.flatnonzero(as_rates(rates, len(sae.W_dec)).alive)
    is_code = check_reading(reading) == "code"

    def choose(active: ActiveLatents, generator: np.random.Generator) -> Ids:
        check_enough(min(len(active.ids), 1) if is_code else len(active.ids), len(alive))
        return generator.choice(alive, size=len(active.ids), replace=is_code)

    return _compose_drawn(base, sae, generators, choose, in_place=is_code)


def synthetic_baseline(
    base: Vectors,
    sae: Autoencoder,
    rates: FiringRates | ArrayLike,
    generators: Generators,
    *,
    reading: Reading = "text",
) -> Tensor:
    """Replace each active latent by one of the 10 that fire about as often (section 4.3).

    In the ``text`` reading the latents chosen are all different and all fire. In the ``code``
    reading neither is asked for, and values are moved in place as in `synthetic_random`.

    Args:
        base: Base activations, ``(sample, d_model)``.
        sae: The SAE.
        rates: Firing rates, linear, ``(latent,)``.
        generators: One per sample.
        reading: ``text`` or ``code``.

    Returns:
        Synthetic activations, float32 on the CPU, ``(sample, d_model)``.
    """
    is_code = check_reading(reading) == "code"
    known = as_rates(rates, len(sae.W_dec))
    ranking = RateRanking(known, alive_only=not is_code)
    n_alive = int(known.alive.sum())

    def choose_any(active: ActiveLatents, generator: np.random.Generator) -> Ids:
        pools = [ranking.nearest(int(latent), POOL) for latent in active.ids]
        return np.array([pool[generator.integers(len(pool))] for pool in pools], dtype=np.int64)

    def choose_unused(active: ActiveLatents, generator: np.random.Generator) -> Ids:
        # One latent more than is needed: a latent may not stand for itself.
        check_enough(len(active.ids) + 1, n_alive)
        return similar_latents(active.ids, ranking, generator)

    choose = choose_any if is_code else choose_unused
    return _compose_drawn(base, sae, generators, choose, in_place=is_code)


def similar_latents(
    ids: Ids, ranking: RateRanking, generator: np.random.Generator, *, excluded: Ids | None = None
) -> Ids:
    """Draw for each latent one of the 10 that fire about as often, all of them different.

    Args:
        ids: The latents, ``(active,)``.
        ranking: Latents by firing rate.
        generator: Draws.
        excluded: Latents that are not drawn.
    """
    out = [] if excluded is None else excluded.tolist()
    chosen: list[int] = []
    for latent in ids:
        near = ranking.nearest(int(latent), POOL + len(ids) + len(out))
        pool = near[~np.isin(near, [*chosen, *out])][:POOL]
        chosen.append(int(pool[generator.integers(len(pool))]))
    return np.array(chosen, dtype=np.int64)


def _compose_drawn(
    base: Vectors, sae: Autoencoder, generators: Generators, choose: Choose, *, in_place: bool
) -> Tensor:
    rows = as_vectors(base, "base")
    one_generator_each(generators, len(rows))

    def rule(found: Sequence[ActiveLatents], samples: range) -> list[ActiveLatents]:
        chosen = []
        for active, sample in zip(found, samples, strict=True):
            ids = choose(active, generators[sample])
            moved = _moved_in_place(active, ids) if in_place else ActiveLatents(ids, active.values)
            chosen.append(moved)
        return chosen

    return compose(rows, sae, rule)


def _moved_in_place(active: ActiveLatents, ids: Ids) -> ActiveLatents:
    """Move values one after the other within one vector, as the authors' code does."""
    vector = dict(zip(active.ids.tolist(), active.values.tolist(), strict=True))
    for old, new in zip(active.ids.tolist(), ids.tolist(), strict=True):
        vector[new] = vector.pop(old)
    return ActiveLatents(
        np.array(list(vector), dtype=np.int64), np.array(list(vector.values()), dtype=np.float32)
    )
