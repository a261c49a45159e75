"""How the output moves: along directions at every length, and under substitutions, per sample."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from steppe.paths import blended, make_directions, make_substitution
from steppe.paths.directions import Source
from steppe.propagation import Suffix
from steppe.readouts import TokenCurves, measure_tokens
from steppe.recipes.lee2024.material import Material, Opened, Place, first_position
from steppe.recipes.lee2024.plan import BLEND, WITH_FIRST, Series

Arrays = dict[str, NDArray[np.generic]]
QUANTILES = (0.1, 0.5, 0.9)
# Beyond this many nats a token's output counts as another one (Heimersheim and Mendel 2024).
CROSSING = 0.5
# What is kept of each sample itself.
FACTS = ("clean_loss", "base_norm", "first_norm")


def measure_directions(material: Material, samples: range) -> Arrays:
    """Measure one shard of the dataset ``directions``."""
    series = material.plan.directions
    steps = len(material.lengths)
    found = _empty(len(series), len(samples), steps)
    found["kl_quantile"] = np.full(
        (len(series), len(samples), steps, len(QUANTILES)), np.nan, np.float32
    )
    found["crossed"] = np.full((len(series), len(samples), steps), np.nan, np.float32)
    found["tokens_used"] = np.zeros((len(series), len(samples)), np.int64)
    found |= {name: np.full(len(samples), np.nan, np.float32) for name in FACTS}
    rows = material.base_rows[samples.start : samples.stop]
    for place, suffix, mine in _sites(material, series):
        for column, sample in enumerate(samples):
            opened = material.open_prompt(suffix, place, sample)
            if place.site.name == material.plan.site:
                for name, fact in _facts(opened).items():
                    found[name][column] = fact
            for index, directions in _directions(material, place, opened, sample, mine):
                defined = ~directions.isnan().any(dim=-1)
                units = directions.nan_to_num(0.0)
                points = _along(opened.base[0], units, material.lengths)
                curves = measure_tokens(suffix, opened.prefix, points, opened.clean)
                values = _reduce(curves, _as_tokens(defined)) | _shape(curves, _as_tokens(defined))
                for name, value in values.items():
                    found[name][index, column] = value
    return {**found, "tokens": material.prompts.tokens[rows]}


def measure_substitutions(material: Material, samples: range) -> Arrays:
    """Measure one shard of the dataset ``substitutions``."""
    series = material.plan.substitutions
    found = _empty(len(series), len(samples))
    for name in ("distance", "cosine", "norm_ratio"):
        found[name] = np.full((len(series), len(samples)), np.nan, np.float32)
    for place, suffix, mine in _sites(material, series):
        for column, sample in enumerate(samples):
            opened = material.open_prompt(suffix, place, sample)
            for index, points in _substitutions(material, place, opened, sample, mine):
                curves = measure_tokens(suffix, opened.prefix, points, opened.clean)
                values = _reduce(curves, np.ones(curves.kl.shape[1], bool))
                values |= _geometry(opened.base[0], points)
                for name, value in values.items():
                    found[name][index, column] = value
    return found


def _sites(
    material: Material, series: tuple[Series, ...]
) -> Iterator[tuple[Place, Suffix, list[tuple[int, Series]]]]:
    """Each place, its open suffix, and the series that are measured there with their numbers."""
    for name in dict.fromkeys(one.site for one in series):
        place = material.places[name]
        with material.suffix(place) as suffix:
            yield place, suffix, [(i, one) for i, one in enumerate(series) if one.site == name]


def _directions(
    material: Material, place: Place, opened: Opened, sample: int, mine: list[tuple[int, Series]]
) -> Iterator[tuple[int, Tensor]]:
    """Each series' number and directions, in the shape of a base, NaN where there is none."""
    requests = {
        sae: material.request(place, opened, sample, sae)
        for sae in dict.fromkeys(one.sae for _, one in mine)
    }
    for index, one in mine:
        request = requests[one.sae]
        kind = one.kind
        if kind.endswith(WITH_FIRST):
            kind = kind.removesuffix(WITH_FIRST)
            request = material.request(place, opened, sample, one.sae, with_first=True)
        if BLEND in kind:
            name, _, share = kind.partition(BLEND)
            source: Source = "real" if name == "real" else "cov_random"
            yield index, blended(request, source, float(share))[0]
        else:
            yield index, make_directions(kind, request)[0]


def _substitutions(
    material: Material, place: Place, opened: Opened, sample: int, mine: list[tuple[int, Series]]
) -> Iterator[tuple[list[int], Tensor]]:
    """The series of one SAE, and their points, ``(series, position, d_model)``."""
    for sae in dict.fromkeys(one.sae for _, one in mine):
        request = material.request(place, opened, sample, sae)
        group = [(index, one.kind) for index, one in mine if one.sae == sae]
        points = torch.stack([make_substitution(kind, request)[0] for _, kind in group])
        if points.ndim == 3 and first_position(material.settings) == "kept":
            points[:, 0] = opened.base[0, 0]
        yield [index for index, _ in group], points


def _along(base: Tensor, units: Tensor, lengths: NDArray[np.float64]) -> Tensor:
    """Points at all lengths, ``(step, ..., d_model)``; the first is the base, bit for bit."""
    grid = torch.from_numpy(lengths).float().reshape(-1, *[1] * base.ndim)
    return base + grid * units


def _reduce(curves: TokenCurves, used: NDArray[np.bool_]) -> dict[str, NDArray[np.float64]]:
    """Means over tokens ``(step,)``: those that a token follows, with and without the first."""
    found = {}
    for suffix, start in (("", 1), ("_with_first", 0)):
        chosen = _scored(used, start)
        found[f"kl{suffix}"] = _mean(curves.kl[:, chosen])
        found[f"loss_increase{suffix}"] = _mean(curves.loss_increase[:, chosen])
    return found


def _shape(curves: TokenCurves, used: NDArray[np.bool_]) -> dict[str, NDArray[np.float64]]:
    chosen = _scored(used, 1)
    kl = curves.kl[:, chosen].astype(np.float64)
    if not chosen.any():
        undefined = np.full(len(kl), np.nan)
        return {
            "kl_quantile": np.full((len(kl), len(QUANTILES)), np.nan),
            "crossed": undefined,
            "tokens_used": np.array(0),
        }
    return {
        "kl_quantile": np.quantile(kl, QUANTILES, axis=1).T,
        "crossed": (kl > CROSSING).mean(axis=1),
        "tokens_used": np.array(chosen.sum()),
    }


def _scored(used: NDArray[np.bool_], start: int) -> NDArray[np.bool_]:
    """The tokens that are averaged over: all that are used, from ``start`` to the last but one."""
    if len(used) == 1:
        return used
    chosen = used.copy()
    chosen[:start] = False
    chosen[-1] = False
    return chosen


def _mean(values: NDArray[np.float32]) -> NDArray[np.float64]:
    if not values.shape[1]:
        return np.full(len(values), np.nan)
    means: NDArray[np.float64] = values.mean(axis=1, dtype=np.float64)
    return means


def _geometry(base: Tensor, points: Tensor) -> dict[str, NDArray[np.float64]]:
    """How the points ``(series, ..., d_model)`` lie to the bases: means over tokens ``(series,)``.

    The first of several tokens is left out.
    """
    if base.ndim == 1:
        base, points = base[None], points[:, None]
    else:
        base, points = base[1:], points[:, 1:]
    a, b = base.double(), points.double()
    lengths = [vectors.norm(dim=-1) for vectors in (a, b)]
    found = {
        "distance": (b - a).norm(dim=-1),
        "cosine": (a * b).sum(dim=-1) / (lengths[0] * lengths[1]),
        "norm_ratio": lengths[1] / lengths[0],
    }
    return {name: values.mean(dim=-1).numpy() for name, values in found.items()}


def _facts(opened: Opened) -> dict[str, float]:
    """What is kept of a sample itself."""
    base, loss = opened.base[0], opened.clean.loss
    if base.ndim == 1:
        assert opened.prompt is not None
        base, first = base[None], opened.prompt[0, 0]
    else:
        base, first, loss = base[1:], base[0], loss[1:]
    return {
        "clean_loss": float(loss.nanmean()),
        "base_norm": float(base.norm(dim=-1).mean()),
        "first_norm": float(first.norm()),
    }


def _as_tokens(defined: Tensor) -> NDArray[np.bool_]:
    return np.atleast_1d(defined.numpy())


def _empty(*shape: int) -> Arrays:
    names = ("kl", "kl_with_first", "loss_increase", "loss_increase_with_first")
    return {name: np.full(shape, np.nan, np.float32) for name in names}
