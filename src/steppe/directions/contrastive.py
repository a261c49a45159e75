"""Directions from pairs of prompts: differences of last-token activations, or a linear probe."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from steppe.core.errors import InputError, MissingExtraError
from steppe.core.sites import Site, as_site
from steppe.directions.direction_set import DirectionSet
from steppe.directions.pairs import Pairs, Prompt, of_one
from steppe.models import Model
from steppe.models.bos import choose_bos
from steppe.propagation import read_residuals

GivenPairs = Pairs | str | Path | Mapping[str, Pairs]


def contrastive(
    model: Model, site: Site | str, pairs: GivenPairs, *, bos: bool | None = None
) -> DirectionSet:
    """Mean differences between the two sides of pairs of prompts, at their last tokens.

    Args:
        model: The model.
        site: Where activations are read.
        pairs: Sets of pairs: a file, a bundled name or group, or `Pairs`.
        bos: Whether BOS is put in front of each prompt; None: as the tokenizer does.

    Returns:
        One direction a set, from the negative to the positive side. Its facts: ``sign`` in words,
        ``pairs``, ``length`` of the mean difference, ``length_over_spread`` (over the root mean
        square of what pairs differ from it by), and the angle in degrees by which leaving one pair
        out turns it: ``leave_one_out_mean`` and ``leave_one_out_max``.

    Raises:
        InputError: No such pairs, a prompt that is no tokens of this model, or sides whose
            activations do not differ.
    """
    sets = of_one(pairs)
    sides = [read_sides(model, site, one, bos) for one in sets]
    differences = [(positive - negative).double() for positive, negative in sides]
    _require_difference(sets, differences, as_site(site))
    return DirectionSet.of(
        [one.name for one in sets],
        torch.stack([each.mean(0) for each in differences]),
        f"contrastive directions at {as_site(site).name}",
        [_facts(one, each) for one, each in zip(sets, differences, strict=True)],
    )


def probe(
    model: Model,
    site: Site | str,
    pairs: GivenPairs,
    *,
    bos: bool | None = None,
    strength: float = 1.0,
) -> DirectionSet:
    """Normals of logistic regressions between the two sides of pairs, at their last tokens.

    Activations are centred and divided by the root mean square of their length, so that the
    regularisation means the same for every model.

    Args:
        model: The model.
        site: Where activations are read.
        pairs: Sets of pairs, as `contrastive` takes them.
        bos: Whether BOS is put in front of each prompt; None: as the tokenizer does.
        strength: Inverse of the regularisation, scikit-learn's C.

    Returns:
        One direction a set, towards the positive side. Its facts: ``sign``, ``pairs``, and
        ``accuracy`` on pairs that the regression was not fitted on (each left out in turn; None for
        a single pair).

    Raises:
        InputError: As `contrastive`.
        MissingExtraError: scikit-learn is not installed.
    """
    try:
        linear_model = import_module("sklearn.linear_model")
    except ImportError as fault:
        raise MissingExtraError("probe", package="scikit-learn", extra="probe") from fault
    sets, normals, facts = of_one(pairs), [], []
    for one in sets:
        positive, negative = read_sides(model, site, one, bos)
        _require_difference([one], [(positive - negative).double()], as_site(site))
        rows = torch.cat([positive, negative]).double()
        rows = rows - rows.mean(0)
        scaled = (rows / rows.square().sum(1).mean().sqrt()).numpy()
        labels = np.repeat([1, 0], len(one))
        fit = linear_model.LogisticRegression(C=strength, max_iter=10_000, tol=1e-8).fit
        normals.append(torch.from_numpy(fit(scaled, labels).coef_[0].copy()))
        facts.append({**_named(one), "accuracy": _held_out(fit, scaled, labels)})
    place = f"probe at {as_site(site).name}"
    return DirectionSet.of([one.name for one in sets], torch.stack(normals), place, facts)


def _held_out(fit: Any, rows: Any, labels: Any) -> float | None:
    """Share of prompts classified rightly when their own pair is left out."""
    count = len(labels) // 2
    if count < 2:
        return None
    right = 0.0
    for pair in range(count):
        own = np.array([pair, pair + count])
        others = np.setdiff1d(np.arange(2 * count), own)
        right += float(fit(rows[others], labels[others]).score(rows[own], labels[own]))
    return right / count


def read_sides(
    model: Model, site: Site | str, pairs: Pairs, bos: bool | None = None
) -> tuple[Tensor, Tensor]:
    """Last-token activations of both sides, float32 on the CPU, ``(pair, width)`` each."""
    place = as_site(site)
    if place.position != -1:
        raise InputError(
            f"site {place.name}",
            got=f"position {place.position}",
            expected="the last position: prompts of a pair differ in length",
            fix="leave the position out",
        )
    added = choose_bos("auto", model).is_added if bos is None else bos
    prompts = [prompt for side in (0, 1) for prompt in (pair[side] for pair in pairs.prompts)]
    ids = [_ids(prompt, model, added, pairs.name) for prompt in prompts]
    for (positive, negative), first, second in zip(
        pairs.prompts, ids, ids[len(pairs) :], strict=False
    ):
        if first == second:
            raise InputError(
                f"pairs {pairs.name!r}",
                got=f"{positive!r} and {negative!r}, the same tokens in {model.name}",
                expected="two prompts that the model can tell from each other",
                fix="change one of them, or leave the pair out",
            )
    found = read_last(model, place, ids)
    return found[: len(pairs)], found[len(pairs) :]


def read_last(model: Model, site: Site, prompts: Sequence[Sequence[int]]) -> Tensor:
    """Activations of prompts of any lengths at their last tokens, ``(prompt, width)``."""
    order: list[int] = []
    rows: list[Tensor] = []
    for length in sorted({len(ids) for ids in prompts}):
        places = [place for place, ids in enumerate(prompts) if len(ids) == length]
        tokens = torch.tensor([list(prompts[place]) for place in places])
        rows.append(read_residuals(model, tokens, site))
        order += places
    return torch.cat(rows)[torch.tensor(order).argsort()]


def _ids(prompt: Prompt, model: Model, bos: bool, name: str) -> list[int]:
    if isinstance(prompt, str):
        if model.tokenizer is None:
            raise InputError(
                f"pairs {name!r}",
                got=f"the text {prompt!r}, for {model.name} which has no tokenizer",
                expected="a model with a tokenizer, or prompts of token ids",
                fix="pass tokenizer= to load_model",
            )
        ids = list(model.tokenizer(prompt, add_special_tokens=False, verbose=False)["input_ids"])
    else:
        ids = list(prompt)
    if not ids:
        raise InputError(
            f"pairs {name!r}",
            got=f"{prompt!r}, which is no token at all in {model.name}",
            expected="a prompt of at least one token",
            fix="change it, or leave the pair out",
        )
    if bos and ids[0] != model.bos_token_id:
        choose_bos("yes", model)
        ids.insert(0, int(model.bos_token_id or 0))
    return ids


def _require_difference(sets: Sequence[Pairs], differences: Sequence[Tensor], site: Site) -> None:
    for one, each in zip(sets, differences, strict=True):
        if float(each.mean(0).norm()) == 0:
            raise InputError(
                f"pairs {one.name!r} at {site.name}",
                got="the same mean activation on both sides",
                expected="sides that differ at their last token",
                fix="read at a later site: before the first block a prompt is its last token alone",
            )


def _named(pairs: Pairs) -> dict[str, Any]:
    return {
        "sign": f"from {pairs.negative} to {pairs.positive}",
        "pairs": len(pairs),
        "pairs_sha256": pairs.sha256,
    }


def _facts(pairs: Pairs, differences: Tensor) -> dict[str, Any]:
    """The sign, and how much the direction hangs on single pairs."""
    count, mean = len(differences), differences.mean(0)
    facts = _named(pairs)
    if count < 2:
        return {**facts, "leave_one_out_mean": None, "leave_one_out_max": None}
    others = (count * mean - differences) / (count - 1)
    cosines = torch.nn.functional.cosine_similarity(others, mean[None], dim=1)
    turned = torch.rad2deg(torch.arccos(cosines.clamp(-1, 1)))
    spread = (differences - mean).square().sum(1).mean().sqrt()
    return {
        **facts,
        "length_over_spread": _short(mean.norm() / spread),
        "leave_one_out_mean": _short(turned.mean()),
        "leave_one_out_max": _short(turned.max()),
    }


def _short(value: Tensor) -> float | None:
    number = float(value)
    return float(f"{number:.4g}") if np.isfinite(number) else None
