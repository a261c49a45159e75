"""Activations composed of latents that keep some of what a real activation has, and draw the rest.

Asked for in the reviews of Giglemiani et al. 2024: what has to be kept of a real activation? Every
kind takes the latents of the base's real target, so that all of them, its SAE reconstruction and
the target itself can be compared pair by pair, and has as many latents as the target (but for
`thresholded`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor

from steppe.activations.composition import ActiveLatents, Ids, Rule, check_enough, compose
from steppe.activations.cooccurrence import draw_by_gibbs, draw_greedily, draw_unpaired
from steppe.activations.pool_latents import PoolLatents
from steppe.activations.rate_ranking import RateRanking
from steppe.activations.reconstruction import without_latents
from steppe.activations.synthetic import similar_latents
from steppe.activations.targets import TargetRequest, lacking, sae_and_rates
from steppe.core.errors import InputError

# Draws of this name choose the bag, the same in every kind that takes latents from it.
BAG = "composed_bag"
Draw = Callable[[PoolLatents, Sequence[int], int, np.random.Generator], Ids]
Change = Callable[[ActiveLatents, int], ActiveLatents]


def permuted(request: TargetRequest) -> Tensor:
    """The real target's latents, their activations permuted among them."""
    generators = request.generators("composed_permuted")

    def change(active: ActiveLatents, sample: int) -> ActiveLatents:
        return ActiveLatents(active.ids, generators[sample].permutation(active.values))

    return _composed(request, change)


def bag(request: TargetRequest) -> Tensor:
    """The real target's activations on latents that fire about as often as its own."""
    return dial(request, share=0.0)


def dial(request: TargetRequest, *, share: float) -> Tensor:
    """A share of the real target's latents, the strongest, is kept; the others are the bag's.

    At 0 it is `bag`, at 1 the SAE's reconstruction; in between one latent after the other is kept.
    """
    replacements = _bag(request)

    def change(active: ActiveLatents, sample: int) -> ActiveLatents:
        kept = int(share * len(active.ids) + 0.5)
        strongest = np.argsort(-active.values, kind="stable")[:kept]
        ids = replacements(active, sample)
        ids[strongest] = active.ids[strongest]
        return ActiveLatents(ids, active.values)

    return _composed(request, change)


def weighted(request: TargetRequest) -> Tensor:
    """The bag, with activations drawn from its latents' own, in the order of the real target's.

    The strongest one drawn goes to the latent that replaces the real target's strongest, and so
    on. For a latent that is not active in any of the pool's activations the target's is drawn.
    """
    pool, replacements = pool_latents(request), _bag(request)
    generators = request.generators("composed_weighted")

    def change(active: ActiveLatents, sample: int) -> ActiveLatents:
        ids = replacements(active, sample)
        own = [pool.values_of(int(latent)) for latent in ids]
        drawn = [
            generators[sample].choice(values) if len(values) else kept
            for values, kept in zip(own, active.values, strict=True)
        ]
        values = np.empty_like(active.values)
        values[np.argsort(active.values, kind="stable")] = np.sort(drawn)
        return ActiveLatents(ids, values)

    return _composed(request, change)


def norm_matched(request: TargetRequest) -> Tensor:
    """The bag, scaled about what the SAE makes of no latents to the real target's norm about it."""
    made = bag(request).double()
    center = without_latents(sae_and_rates(request, "composed_norm_matched")[0], made.shape[1])
    norm, wanted = (rows.sub(center).norm(dim=1, keepdim=True) for rows in (made, _real(request)))
    # Without latents there is nothing to scale.
    scale = torch.where(norm > 0, wanted / norm, 1.0)
    scaled: Tensor = center + scale * (made - center)
    return scaled.float()


def co_occurring(request: TargetRequest, *, draw: Draw, name: str) -> Tensor:
    """The real target's top latent, and others drawn beside it; its other activations at random."""
    pool, generators = pool_latents(request), request.generators(name)

    def change(active: ActiveLatents, sample: int) -> ActiveLatents:
        if not len(active.ids):
            return active
        generator = generators[sample]
        ids = draw(pool, [active.top], len(active.ids), generator)
        others = active.values[active.ids != active.top]
        top = active.values[active.ids == active.top]
        return ActiveLatents(ids, np.concatenate([top, generator.permutation(others)]))

    return _composed(request, change)


def thresholded(request: TargetRequest, *, percent: float) -> Tensor:
    """The real target's latents but for the weak ones.

    A latent is weak where what it adds is shorter than this part of the target's norm about what
    the SAE makes of no latents.
    """
    sae, _ = sae_and_rates(request, "composed_thresholded")
    lengths = sae.W_dec.detach().double().cpu().norm(dim=1).numpy()
    away = _real(request) - without_latents(sae, request.real.shape[1])
    least = (percent / 100 * away.norm(dim=1)).numpy()

    def change(active: ActiveLatents, sample: int) -> ActiveLatents:
        kept = active.values * lengths[active.ids] >= least[sample]
        return ActiveLatents(active.ids[kept], active.values[kept])

    return _composed(request, change)


def pool_latents(request: TargetRequest) -> PoolLatents:
    """The latents of the request's pool."""
    if request.pool_latents is not None:
        return request.pool_latents()
    if request.pool is None:
        raise lacking("composed_*", "pool", "give real activations as pool")
    return PoolLatents.of(request.pool, sae_and_rates(request, "composed_*")[0])


PLAIN: dict[str, tuple[Callable[[TargetRequest], Tensor], str]] = {
    "composed_permuted": (permuted, "the real target's latents, activations permuted among them"),
    "composed_bag": (bag, "the real target's activations on latents that fire about as often"),
    "composed_weighted": (weighted, "composed_bag, activations drawn from its latents' own"),
    "composed_norm_matched": (norm_matched, "composed_bag at the real target's norm"),
    **{
        name: (partial(co_occurring, draw=draw, name=name), f"the real target's top latent, {text}")
        for name, draw, text in (
            ("composed_unpaired", draw_unpaired, "others drawn by how often they fire"),
            ("composed_greedy", draw_greedily, "others by what is active beside those drawn"),
            ("composed_gibbs", draw_by_gibbs, "others by Gibbs sampling of co-activation"),
        )
    },
}
"""By kind: what makes its targets, and what it is."""


def numbered(name: str) -> tuple[Callable[[TargetRequest], Tensor], str] | None:
    """What makes the targets of ``composed_dial:0.5``, and what it is; so ``composed_thresholded``.

    Returns:
        None for any other name.

    Raises:
        InputError: What follows the colon is no number, or out of range.
    """
    kind, colon, text = name.partition(":")
    known: dict[str, tuple[Any, float, str, str]] = {
        "composed_dial": (dial, 1, "share", "the share {} of the real target's latents, rest bag"),
        "composed_thresholded": (
            thresholded, 100, "percent", "the real target's latents of at least {}% of its norm"
        ),
    }  # fmt: skip
    if not colon or kind not in known:
        return None
    make, most, setting, description = known[kind]
    try:
        number = float(text)
    except ValueError:
        number = np.nan
    if not 0 <= number <= most:
        raise InputError(
            f"kind {name!r}",
            got=text or "nothing after the colon",
            expected=f"a number from 0 to {most:g} after the colon: the {setting}",
            fix=f"write {kind}:{most / 2:g}, for instance",
        )
    return partial(make, **{setting: number}), description.format(text)


def _composed(request: TargetRequest, change: Change) -> Tensor:
    """From the real targets, by a rule for one activation and its sample."""

    def rule(found: Sequence[ActiveLatents], samples: range) -> list[ActiveLatents]:
        return [change(active, sample) for active, sample in zip(found, samples, strict=True)]

    as_rule: Rule = rule
    return compose(request.real, sae_and_rates(request, "composed_*")[0], as_rule)


def _bag(request: TargetRequest) -> Callable[[ActiveLatents, int], Ids]:
    """From an activation and its sample to latents of similar rates, none of them its own."""
    _, rates = sae_and_rates(request, "composed_bag")
    ranking, n_alive = RateRanking(rates, alive_only=True), int(rates.alive.sum())
    generators = request.generators(BAG)

    def replacements(active: ActiveLatents, sample: int) -> Ids:
        check_enough(2 * len(active.ids), n_alive)
        return similar_latents(active.ids, ranking, generators[sample], excluded=active.ids)

    return replacements


def _real(request: TargetRequest) -> Tensor:
    return request.real.detach().double().cpu()
