"""From names of fixed directions to the directions, once it is known which model they are for."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from torch import Tensor

from steppe.core.errors import InputError
from steppe.core.fixed_directions import AGAINST, NEED, FixedDirection, fixed_direction
from steppe.core.names import check_names
from steppe.core.sites import Site
from steppe.directions.contrastive import contrastive, probe
from steppe.directions.direction_set import DirectionSet, joined
from steppe.directions.files import from_file, names_in
from steppe.directions.given import find_given
from steppe.directions.jacobian import jacobian_top
from steppe.directions.melbo import Ascent, melbo
from steppe.directions.pairs import read_pairs
from steppe.directions.pools import pca, random, random_difference, sae_top
from steppe.models import Model
from steppe.sae.autoencoder import Autoencoder


@dataclass(frozen=True, eq=False)
class Sources:
    """All that fixed directions can be made from.

    Attributes:
        model: The model.
        site: Where activations are moved.
        read: The later residual of ``melbo`` and ``jacobian_top``.
        seed: Seed of what is drawn.
        bos: Whether pairs of prompts begin with BOS, as the run's own prompts do.
        tokens: Gives the token ids of as many prompts, ``(prompt, position)``.
        pool: Gives real activations, ``(candidate, d_model)``.
        sae: Gives the SAE of the site.
    """

    model: Model
    site: Site
    read: Site
    seed: int
    bos: bool
    tokens: Callable[[int], Any]
    pool: Callable[[], Tensor]
    sae: Callable[[], Autoencoder]


Make = Callable[[FixedDirection, int, Sources], DirectionSet]


def _file(asked: FixedDirection, _count: int, sources: Sources) -> DirectionSet:
    layer = asked.settings["layer"]
    return from_file(asked.source, sources.model, sources.site, layer=layer)


def _melbo(asked: FixedDirection, count: int, sources: Sources) -> DirectionSet:
    settings = dict(asked.settings)
    tokens = sources.tokens(settings.pop("anchors"))
    ascent = Ascent(**settings, read=sources.read, seed=sources.seed)
    return melbo(sources.model, tokens, sources.site, count, ascent=ascent)


def _jacobian_top(asked: FixedDirection, count: int, sources: Sources) -> DirectionSet:
    tokens = sources.tokens(asked.settings["anchors"])
    found = (sources.model, tokens, sources.site, count)
    return jacobian_top(*found, read=sources.read, seed=sources.seed)


_MAKE: dict[str, Make] = {
    "file": _file,
    "given": lambda a, _, s: find_given(a.source).in_coordinates(s.model, f"given {a.source!r}"),
    "contrastive": lambda a, _, s: contrastive(s.model, s.site, _only_named(a), bos=s.bos),
    "probe": lambda a, _, s: probe(s.model, s.site, _only_named(a), bos=s.bos),
    "pca": lambda _, count, s: pca(s.pool(), count),
    "random": lambda _, count, s: random(s.model, count, seed=s.seed),
    "random_difference": lambda _, count, s: random_difference(s.pool(), count, seed=s.seed),
    "sae_top": lambda _, count, s: sae_top(s.sae(), s.pool(), count),
    "melbo": _melbo,
    "jacobian_top": _jacobian_top,
}


def _only_named(asked: FixedDirection) -> Any:
    found = read_pairs(asked.source)
    if asked.name:
        check_names(f"pairs of prompts {asked.source}", [asked.name], list(found))
        return {asked.name: found[asked.name]}
    return found


def members(asked: FixedDirection) -> list[FixedDirection]:
    """The single directions that a name stands for; reads files, and no model.

    Raises:
        InputError: Its source does not exist or does not hold the name.
    """
    if asked.kind.takes == "number":
        first, last = asked.numbers
        return [asked] if first == last else [asked.numbered(n) for n in range(first, last + 1)]
    if asked.kind.name == "file":
        names: Sequence[str] = names_in(asked.source)
    elif asked.kind.name == "given":
        names = find_given(asked.source).names
    else:
        names = list(read_pairs(asked.source))
    if asked.name:
        check_names(f"directions of {asked.source}", [asked.name], names)
    taken = [name for name in names if name.endswith(AGAINST)]
    if taken:
        raise InputError(
            f"directions of {asked.source}",
            got=f"one called {taken[0]!r}",
            expected=f"names that do not end in {AGAINST!r}, which asks for the opposite direction",
            fix=f"rename it, or leave it out where it is no more than the opposite of another: "
            f"ask for {taken[0].removesuffix(AGAINST)}{AGAINST} then",
        )
    return [asked] if asked.name or len(names) == 1 else [asked.named(name) for name in names]


def expand(names: Iterable[str]) -> tuple[str, ...]:
    """Names of fixed directions with each set written out: ``pca:1-3`` as three names.

    Args:
        names: Names of kinds of directions; those that are not of fixed ones stay as they are.

    Raises:
        InputError: A source does not exist or does not hold a name.
    """
    found: list[str] = []
    for name in names:
        asked = fixed_direction(name)
        found += [name] if asked is None else [one.label for one in members(asked)]
    return tuple(dict.fromkeys(found))


def fixed_among(needs: Iterable[str]) -> list[FixedDirection]:
    """The fixed directions among what parts need, each a single one.

    Raises:
        InputError: A name stands for several, or its source does not exist.
    """
    names = sorted(need.removeprefix(NEED) for need in needs if need.startswith(NEED))
    asked = [one for one in map(fixed_direction, names) if one is not None]
    for one in asked:
        found = members(one)
        if len(found) > 1:
            raise InputError(
                f"direction {one.text!r}",
                got=f"{len(found)} directions",
                expected="one: a kind of direction is one vector",
                fix=f"write {', '.join(each.label for each in found[:3])} ..., or "
                "steppe.directions.expand([...])",
            )
    return asked


def identity(asked: FixedDirection, sources: Sources) -> dict[str, Any]:
    """What tells a fixed direction from another of the same name, as plain data.

    Of a vector that was given it is the vector; of pairs of prompts, the prompts; of anything else
    the settings, since the model, the prompts and the seed are in a run's configuration.
    """
    facts: dict[str, Any] = {"made_by": asked.kind.name, **asked.settings}
    if asked.kind.name in ("file", "given"):
        found = _chosen(asked, _MAKE[asked.kind.name](asked, 1, sources))
        return {**facts, "sha256": found.sha256}
    if asked.kind.takes == "source":
        (pairs,) = _only_named(asked).values()
        return {**facts, "sha256": pairs.sha256}
    return {**facts, "number": asked.numbers[0]}


def identities(needs: Iterable[str], sources: Sources) -> dict[str, Any]:
    """What tells the fixed directions that parts need from others; nothing where there are none."""
    found = {one.text: identity(one, sources) for one in fixed_among(needs)}
    return {"directions_identity": found} if found else {}


def make_needed(needs: Iterable[str], sources: Sources) -> DirectionSet:
    """Make the fixed directions that parts need, those of one source together.

    Args:
        needs: What parts need; a fixed direction is a need of its own.
        sources: What they are made from.

    Returns:
        One direction each, named by its text.

    Raises:
        InputError: One of them cannot be made, or no part said that it needs one.
    """
    asked = fixed_among(needs)
    if not asked:
        raise InputError(
            "fixed directions",
            got="one asked for by a part that did not say that it needs one",
            expected="its needs among the part's: DIRECTIONS.find(name).needs",
            fix="declare them: needs=frozenset(DIRECTIONS.find(name).needs)",
        )
    groups: dict[Any, list[FixedDirection]] = {}
    for one in asked:
        by = one.name if one.kind.name in ("contrastive", "probe") else ""
        groups.setdefault((one.kind.name, one.source, by, one.asked_settings), []).append(one)
    found: dict[str, DirectionSet] = {}
    for (kind, *_), group in groups.items():
        whole = _MAKE[kind](group[0], max(one.numbers[1] for one in group), sources)
        for one in group:
            found[one.text] = replace(_chosen(one, whole), names=(one.text,))
    return joined([found[one.text] for one in asked])


def _chosen(asked: FixedDirection, whole: DirectionSet) -> DirectionSet:
    if asked.kind.takes == "number":
        return whole.select(f"{asked.kind.name}:{asked.numbers[0]}")
    return whole.select(asked.name) if asked.name else whole


def vector_of(name: str, found: DirectionSet) -> Tensor:
    """The vector that a name means, ``(d_model,)``: of ``_against`` the opposite one.

    Raises:
        InputError: The directions hold no such name.
    """
    check_names("fixed directions", [name.removesuffix(AGAINST)], found.names)
    vector = found.select(name.removesuffix(AGAINST)).vectors[0]
    return -vector if name.endswith(AGAINST) else vector
