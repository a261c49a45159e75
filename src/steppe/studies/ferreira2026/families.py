"""Families of candidate features, each as disjoint pairs of directions."""

from __future__ import annotations

import hashlib

import torch
from torch import Tensor

from steppe.core.errors import InputError
from steppe.core.seeds import stream
from steppe.directions import (
    Ascent,
    DirectionSet,
    contrastive,
    joined,
    melbo,
    pca,
    random,
    random_difference,
    read_pairs,
    sae_top,
)
from steppe.studies.ferreira2026.settings import Settings
from steppe.study import Context

CONTRASTIVE, MELBO, SAE_TOP, ASKED = "contrastive", "melbo", "sae_top", "asked_for"
STRUCTURELESS = ("pca", "random", "random_difference")
# By how many degrees contrastive directions are turned away, each towards a random one.
TURNED = (15, 30, 45, 60, 90)


def turned(angle: int) -> str:
    """What the family is called whose directions are turned away by an angle."""
    return f"{CONTRASTIVE}_turned_{angle}"


def names_of(context: Context[Settings]) -> tuple[str, ...]:
    """The families of a run; that of the SAE, and of what was asked for, where there is one."""
    sae = (SAE_TOP,) if context.given_saes else ()
    asked = (ASKED,) if context.settings.directions else ()
    return (CONTRASTIVE, MELBO, *sae, *STRUCTURELESS, *map(turned, TURNED), *asked)


def prompts_of(context: Context[Settings]) -> dict[str, str]:
    """What tells the contrastive directions of a run from others: a hash of their prompts."""
    every = [
        one.sha256 for name in context.settings.contrastive for one in read_pairs(name).values()
    ]
    return {"contrastive_sha256": hashlib.sha256("".join(every).encode()).hexdigest()}


def families(context: Context[Settings]) -> dict[str, Tensor]:
    """Unit directions by family, float64 ``(pair, 2, d_model)``; no direction is in two pairs.

    The family that was asked for may be of fewer pairs: the rest is NaN.
    """
    settings, model, site = context.settings, context.model, context.site
    count, seed = 2 * settings.pairs, context.settings.seed
    bos = context.taken.begin_with(model.bos_token_id)
    concepts = joined([contrastive(model, site, name, bos=bos) for name in settings.contrastive])
    if len(concepts) < count:
        raise InputError(
            "contrastive",
            got=f"{len(concepts)} directions",
            expected=f"at least {count}, two for each of {settings.pairs} pairs",
            fix="name more sets of pairs of prompts, or ask for fewer --pairs",
        )
    found = {
        CONTRASTIVE: concepts,
        MELBO: _one_per_anchor(context, count),
        "pca": pca(context.pool, count),
        "random": random(model, count, seed=seed),
        "random_difference": random_difference(context.pool, count, seed=seed),
    }
    if context.given_saes:
        found[SAE_TOP] = sae_top(context.sae, context.pool, count)
    pairs = {}
    for name, directions in found.items():
        order = stream(seed, f"pairs_of_{name}").permutation(len(directions))[:count]
        pairs[name] = directions.vectors.double()[order].reshape(settings.pairs, 2, -1)
    straight = pairs[CONTRASTIVE]
    away = random(model, 2 * count, seed=seed).vectors[count:].double().reshape(straight.shape)
    away -= (away * straight).sum(-1, keepdim=True) * straight
    away /= away.norm(dim=-1, keepdim=True)
    for angle in TURNED:
        by = torch.deg2rad(torch.tensor(float(angle), dtype=torch.float64))
        pairs[turned(angle)] = torch.cos(by) * straight + torch.sin(by) * away
    if settings.directions:
        pairs[ASKED] = torch.full_like(straight, torch.nan)
        asked = torch.stack([context.fixed(name) for name in settings.directions]).double()
        pairs[ASKED].flatten(0, 1)[: len(asked)] = asked
    return pairs


def _one_per_anchor(context: Context[Settings], count: int) -> DirectionSet:
    """The direction that moves the later residual most, at one prompt of the pool each."""
    tokens = context.prompts.tokens[context.pool_rows[:count]]
    ascent = Ascent(
        steps=context.settings.melbo_steps, read=context.read, seed=context.settings.seed
    )
    found = [
        melbo(context.model, tokens[i : i + 1], context.site, ascent=ascent)
        for i in range(len(tokens))
    ]
    return DirectionSet(
        names=tuple(f"melbo:{number}" for number in range(1, len(found) + 1)),
        vectors=torch.cat([one.vectors for one in found]),
        facts=tuple(one.facts[0] for one in found),
    )
