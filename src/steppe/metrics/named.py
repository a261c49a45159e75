"""Metrics whose names say what they are of: tokens of interest, or an SAE of a later site.

``probability: Paris| Rome``, ``log_odds:#318``, ``rank: Paris``, ``latents_changed:SAE``: so they
stand in YAML files and on the command line. Tokens are looked up once the model is known.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

from torch import Tensor

from steppe.core.errors import InputError
from steppe.metrics.catalogue import Metric
from steppe.metrics.latents import latents_changed, latents_l1
from steppe.metrics.tokens_of_interest import Token, log_odds_of, probability_of, rank_of
from steppe.models.model import Model
from steppe.sae.loading import load_sae
from steppe.sae.model import Sae

BETWEEN = "|"
_ID = re.compile(r"#(\d+)")


@dataclass(frozen=True)
class NamedMetric:
    """Metrics of one sort.

    Attributes:
        name: What their names begin with.
        description: What follows, and what they are.
        unit: Their unit.
        of_tokens: Makes the metric of tokens; None: it is one of an SAE's latents.
        of_sae: Makes the metric of an SAE.
    """

    name: str
    description: str
    unit: str
    of_tokens: Callable[[Sequence[Token], Model], Metric] | None = None
    of_sae: Callable[[Sae], Metric] | None = None


def _rank(tokens: Sequence[Token], model: Model) -> Metric:
    if len(tokens) > 1:
        raise InputError(
            "metric rank",
            got=f"{len(tokens)} tokens: {list(tokens)!r}",
            expected="one token, which has a rank",
            fix="ask for one rank each: rank: Paris, rank: Rome",
        )
    return rank_of(tokens[0], model)


NAMED: Mapping[str, NamedMetric] = {
    one.name: one
    for one in (
        NamedMetric(
            "probability",
            "of a set of tokens, as text or #id: 'probability: Paris| Rome', 'probability:#318'",
            "1",
            probability_of,
        ),
        NamedMetric("log_odds", "of a set of tokens: 'log_odds: Paris| Rome'", "nats", log_odds_of),
        NamedMetric("rank", "of one token, 1 for the likeliest: 'rank: Paris'", "1", _rank),
        NamedMetric(
            "latents_changed",
            "latents of an SAE at its own, later site that switch on or off: latents_changed:SAE",
            "1",
            of_sae=latents_changed,
        ),
        NamedMetric(
            "latents_l1",
            "L1 change of an SAE's latents at its own, later site: latents_l1:SAE",
            "activation units",
            of_sae=latents_l1,
        ),
    )
}


def derived(name: str) -> Metric | None:
    """The metric of a name with tokens or an SAE behind it; None for other names.

    Raises:
        InputError: Nothing follows, or the SAE cannot be read.
    """
    head, colon, rest = name.partition(":")
    kind = NAMED.get(head)
    if kind is None:
        return None
    if not colon or not rest or "" in (tokens := rest.split(BETWEEN)):
        raise InputError(
            f"metric {name!r}",
            got="nothing after it" if not rest else "an empty token",
            expected=f"{head} {kind.description}",
            fix="quote it where it has blanks, in YAML as on the command line",
        )
    if kind.of_sae is not None:
        return _of_latents(kind.of_sae, head, rest, _changed_at(rest))
    return _of_tokens(kind, name, tuple(tokens))


def _of_tokens(kind: NamedMetric, name: str, tokens: Sequence[str]) -> Metric:
    wanted = [int(found[1]) if (found := _ID.fullmatch(one)) else one for one in tokens]
    # A variable's name is a path in the store.
    label = name.replace("/", "\\x2f")

    def of_model(model: Model) -> Metric:
        assert kind.of_tokens is not None
        return replace(kind.of_tokens(wanted, model), name=label)

    long_name = f"{kind.name.replace('_', '-')} of {wanted}"
    return Metric(label, kind.unit, long_name, "logits", _without_model, of_model=of_model)


# What a study plans, lays out and measures asks for it several times over.
@lru_cache(maxsize=8)
def _of_latents(make: Callable[[Sae], Metric], head: str, source: str, changed_at: float) -> Metric:
    del changed_at
    sae = load_sae(source)
    if sae.hook_name is None:
        raise InputError(
            f"metric {head}:{source}",
            got="an SAE whose file does not say where it belongs",
            expected="an SAE with a hook: it is read there",
            fix=f"from Python: steppe.metrics.{head}(sae, read=site)",
        )
    label = f"{head}:{Path(source).name}"

    def of_model(model: Model) -> Metric:
        there = {key: tensor.to(model.device) for key, tensor in sae.weights.items()}
        return replace(make(replace(sae, weights=there)), name=label)

    return replace(make(sae), name=label, of_model=of_model)


def _changed_at(source: str) -> float:
    """When a folder or file was changed last; 0 for a name."""
    path = Path(source).expanduser()
    inside = path.iterdir() if path.is_dir() else [path]
    return max((one.stat().st_mtime for one in inside if one.exists()), default=0.0)


def _without_model(_outputs: Tensor) -> Tensor:
    raise InputError(
        "metric of tokens",
        got="no model to look them up for",
        expected="the metric of a model",
        fix="Metric.of(model) gives it",
    )
