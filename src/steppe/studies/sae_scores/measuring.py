"""What is measured of every SAE at its own site: fit, directions, substitutions, crossings, steps.

Directions and substitutions are lee2024's (all positions at once); contours are ferreira2026's.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, replace
from typing import Any

import numpy as np
import torch
import xarray as xr
from numpy.typing import NDArray
from torch import Tensor

from steppe.activations import synthetic_structured, without_latents
from steppe.core.axes import AXIS, DRAW, KIND, PAIR, POINT, SAE, SAMPLE
from steppe.core.seeds import stream
from steppe.core.sites import Site
from steppe.directions import sae_top
from steppe.metrics import find_metrics, measure_paths
from steppe.metrics.probe import Probe
from steppe.paths import Family, absolute, family_of, make_directions
from steppe.propagation import Prefix
from steppe.sae import Sae
from steppe.sae.autoencoder import decode, encode
from steppe.sae.blocks import row_slices
from steppe.sae.objective import LOCAL, objective_of
from steppe.statistics import max_slope_step
from steppe.store import Template, Variable
from steppe.studies.ferreira2026.measuring import find_contours
from steppe.studies.giglemiani2024.scales import COSINE, PAIRS, STEP_SIZE, TARGET_DISTANCE
from steppe.studies.lee2024 import measuring as lee
from steppe.studies.lee2024.plan import MIXTURE, Series
from steppe.studies.sae_scores.settings import Settings
from steppe.study import Context, attributes
from steppe.study.context import Arrays
from steppe.study.crossings import Search
from steppe.study.published import four_digits
from steppe.study.saes import UsedSae

Here = Context[Settings]
ROWS = ("sae_feature_active", "sae_feature_active_against", "sae_feature_alive",
        "sae_feature_alive_against")  # fmt: skip
CROSSED = (MIXTURE, "sae_feature_active", "sae_feature_alive")
REAL, STRUCTURED = "real", "synthetic_structured"
# By name: unit and meaning, of all positions but the first; names are SAEBench's where it has one.
FIT = {
    "squared_error": ("1", "squared distance to the reconstruction"),
    "variance": ("1", "squared distance to the pool's mean"),
    "l0": ("latents", "active latents"),
    "l1": ("1", "sum of latents"),
    "cossim": ("1", "cosine to the reconstruction"),
    "l2_norm_in": ("residual stream", "norm"),
    "l2_norm_out": ("residual stream", "norm of the reconstruction"),
    "l2_ratio": ("1", "norm of the reconstruction over the norm"),
    "square": ("1", "squared norm of the reconstruction"),
    "product": ("1", "scalar product with the reconstruction"),
}
# Of a straight path, up to the base's norm.
POINTS = 101
ANGLES = np.linspace(0.0, 60.0, 31)


def last(context: Here, site: Site) -> Here:
    """The study at the last position of a site."""
    return context.at(replace(site, position=-1))


def by_site(context: Here) -> dict[str, dict[str, UsedSae]]:
    """The SAEs of every site."""
    found: dict[str, dict[str, UsedSae]] = {}
    for label, used in context.saes.items():
        found.setdefault(used.site.name, {})[label] = used
    return found


def labels_of(context: Here) -> dict[str, Any]:
    """What is known of every SAE from its file, as coordinates over ``sae``."""
    found: dict[str, list[Any]] = {name: [] for name in (SAE, "site", "family", "latents", "cfg")}
    for label, used in context.saes.items():
        read = used.sae if isinstance(used.sae, Sae) else None
        found[SAE].append(label)
        found["site"].append(used.site.name)
        found["family"].append(objective_of(read) if read else LOCAL)
        found["latents"].append(len(used.sae.W_dec))
        found["cfg"].append(json.dumps(asdict(read.config)) if read else "")
    return {name: (SAE, np.array(values)) for name, values in found.items()}


def prepare(context: Here) -> dict[str, Any]:
    """Lengths, and per site the step of absolute paths, per SAE the cosine of structured kinds."""
    order = stream(0, "calibration_prompts").permutation(len(context.prompts))
    pairs = min(PAIRS, len(order) // 2)
    steps, cosines = {}, {}
    for site, saes in by_site(context).items():
        # Prompts are long: all of them at once would take more memory than anything later.
        ends = context.at(site).activations_everywhere(order[: 2 * pairs])[:, -1]
        base, target = ends[:pairs], ends[pairs:]
        distance = float((target - base).norm(dim=1).mean())
        steps[site] = STEP_SIZE * distance / TARGET_DISTANCE
        for label, used in saes.items():
            center = without_latents(used.sae, base.shape[1])
            cosine = torch.cosine_similarity(base - center, target - center, dim=1)
            cosines[label] = float(cosine.mean())
    if context.settings.is_paper:
        steps, cosines = dict.fromkeys(steps, STEP_SIZE), dict.fromkeys(cosines, COSINE)
    return {
        **lee.prepare(context),
        "step_sizes": {site: four_digits(step) for site, step in steps.items()},
        "top_cosines": {label: four_digits(cosine) for label, cosine in cosines.items()},
    }


def _series(context: Here) -> tuple[list[Series], list[Series]]:
    """What is measured along lengths, and what replaces activations."""
    # At the study's own site what belongs to no site is measured: the loss.
    sites = dict.fromkeys([context.site.name, *by_site(context)])
    along = [Series(MIXTURE, site) for site in sites]
    replaced = [Series("zero_ablation", site) for site in by_site(context)]
    for site, saes in by_site(context).items():
        for label in saes:
            along += [Series(kind, site, label) for kind in ROWS]
            replaced += [Series(kind, site, label) for kind in ("sae", "epsilon_mixture")]
    return along, replaced


def _sequences(context: Here, made: Template | None) -> Template:
    assert made is not None
    return replace(made, samples=min(context.settings.sequences, made.samples))


def lay_out_directions(context: Here) -> Template:
    """Decoder rows and mixtures along lengths."""
    return _sequences(context, lee.lay_out_along(context, _series(context)[0]))


def measure_directions(context: Here, samples: range) -> Arrays:
    """KL along them."""
    return lee.measure_along(context, _series(context)[0], samples)


def lay_out_substitutions(context: Here) -> Template:
    """Reconstructions, mixtures as far away, and zero."""
    return _sequences(context, lee.lay_out_replaced(context, _series(context)[1]))


def measure_substitutions(context: Here, samples: range) -> Arrays:
    """KL and loss with them in place of activations."""
    return lee.measure_replaced(context, _series(context)[1], samples)


def _template(
    context: Here,
    variables: Mapping[str, Variable],
    labels: Mapping[str, Any],
    sizes: dict[str, int],
) -> Template:
    fixed = xr.Dataset(coords={**labels_of(context), **labels}, attrs=attributes(context))
    return Template(context.settings.samples, lee.SHARD_SIZE, variables, fixed, sizes)


def lay_out_fit(context: Here) -> Template:
    """How well each SAE reconstructs, prompt by prompt."""
    variables = {name: Variable((SAE, SAMPLE), *about) for name, about in FIT.items()}
    return _template(context, variables, {}, {})


def measure_fit(context: Here, samples: range) -> Arrays:
    """Means over a prompt's positions but the first."""
    order = [*context.saes]
    found = {name: np.empty((len(order), len(samples)), np.float32) for name in FIT}
    rows = context.order[samples.start : samples.stop]
    for site, saes in by_site(context).items():
        there = context.at(site)
        for column, activations in enumerate(there.activations_everywhere(rows)[:, 1:]):
            for label, used in saes.items():
                for name, value in _fit(used, activations, there.center).items():
                    found[name][order.index(label), column] = value
    return found


def _fit(used: UsedSae, x: Tensor, center: Tensor) -> dict[str, float]:
    parts = []
    for some in row_slices(len(x), len(used.sae.W_dec)):
        latents = encode(used.sae, x[some])
        made = decode(used.sae, latents, x[some]).float().cpu()
        active = (latents != 0).sum(dim=1).cpu(), latents.sum(dim=1).cpu()
        parts.append((made, *(one.double() for one in active)))
    made, l0, l1 = (torch.cat(some) for some in zip(*parts, strict=True))
    x, made = x.double(), made.double()
    norms = x.norm(dim=1), made.norm(dim=1)
    values = {
        "squared_error": (x - made).square().sum(dim=1),
        "variance": (x - center.double()).square().sum(dim=1),
        "l0": l0,
        "l1": l1,
        "cossim": torch.cosine_similarity(x, made, dim=1),
        "l2_norm_in": norms[0],
        "l2_norm_out": norms[1],
        "l2_ratio": norms[1] / norms[0],
        "square": norms[1].square(),
        "product": (x * made).sum(dim=1),
    }
    return {name: float(value.mean()) for name, value in values.items()}


def lay_out_crossings(context: Here) -> Template:
    """Where KL reaches the level along rows and mixtures."""
    dims, unit = (SAE, KIND, SAMPLE, DRAW), "norms of the base"
    told = "where KL first reaches the level; infinite where it does not within the base's norm"
    sizes = {DRAW: context.settings.draws}
    kinds = {KIND: (KIND, np.array(CROSSED))}
    return _template(context, {"crossing": Variable(dims, unit, told)}, kinds, sizes)


def measure_crossings(context: Here, samples: range) -> Arrays:
    """Search the level from the last position of some prompts that a token follows."""
    draws, order = context.settings.draws, [*context.saes]
    found = np.full((len(order), len(CROSSED), len(samples), draws), np.nan, np.float32)
    for site, saes in by_site(context).items():
        there = last(context, context.at(site).site)
        with there.suffix(read=[], logits=True) as suffix:
            (kl,) = find_metrics(["kl"])
            search = Search(Probe(suffix, kl, there.read), context.settings.level)
            for column, sample in enumerate(samples):
                opened = lee.Opened.of(there, suffix, sample)
                ways = [*_ways(opened, saes, draws)]
                rows = torch.cat([way for _, _, way in ways])
                bases = opened.base.expand(len(rows), -1)
                family = family_of("straight", bases, rows, mean_free=there.centered)
                steps = straight(search, opened.prefix, family).reshape(-1, draws)
                for (label, kind, _), values in zip(ways, steps, strict=True):
                    # The site's mixture serves all of its SAEs.
                    whose = [label] if label else [*saes]
                    places = [order.index(one) for one in whose]
                    found[places, CROSSED.index(kind), column] = values
    return {"crossing": found}


def straight(search: Search, prefix: Prefix, family: Family) -> NDArray[np.float64]:
    """Where paths cross, in norms of the base; infinite where they do not, NaN for no path."""
    crossed = search(prefix, family, POINTS)
    return np.where(crossed.censored, np.inf, crossed.step / (POINTS - 1))


def _ways(
    opened: lee.Opened, saes: Mapping[str, UsedSae], draws: int
) -> Iterator[tuple[str, str, Tensor]]:
    """The SAE's label, the kind, and directions ``(draw, d_model)``."""
    base = opened.base[:, None].expand(-1, draws, -1)
    for label in ("", *saes):
        request = replace(opened.request(label), base=base)
        for kind in CROSSED[1:] if label else CROSSED[:1]:
            yield label, kind, make_directions(kind, request)[0]


def lay_out_structured(context: Here) -> Template:
    """Where paths towards real and composed activations blow up."""
    told = "step of largest slope of L2 on an absolute path"
    kinds = {KIND: (KIND, np.array([REAL, STRUCTURED]))}
    return _template(context, {"step": Variable((SAE, KIND, SAMPLE), "steps", told)}, kinds, {})


def measure_structured(context: Here, samples: range) -> Arrays:
    """Move some prompts' last activations towards real ones, and what each SAE composes."""
    order, (l2,) = [*context.saes], find_metrics(["l2"])
    found = np.full((len(order), 2, len(samples)), np.nan, np.float32)
    for site, saes in by_site(context).items():
        there = last(context, context.at(site).site)
        bases, size = there.bases(samples), context.constants["step_sizes"][site]
        ends = [there.real_targets(bases).targets]
        for label, used in saes.items():
            cosine = context.constants["top_cosines"][label]
            made = synthetic_structured(bases.activations, used.sae, used.rates, cosine=cosine)
            ends.append(made)
        laid = torch.stack([absolute(bases.activations, end, step_size=size) for end in ends], 1)
        curves, first = [], 0
        with there.suffix(read=[there.read], logits=False) as suffix:
            for batch in bases.batches:
                some = laid[first : first + batch.prompts]
                curves.append(measure_paths(suffix, batch, some, [l2], there.read)["l2"])
                first += batch.prompts
        steps = max_slope_step(np.concatenate(curves))
        for place, label in enumerate(saes, start=1):
            found[order.index(label), 0], found[order.index(label), 1] = steps[:, [0, place]].T
    return {"step": found}


def measure_contours(context: Here) -> xr.Dataset:
    """Contours in the planes of each SAE's most active latents, drawn into pairs; NaN for none."""
    settings, pairs = context.settings, context.settings.pairs
    contours: list[Any] = []
    intercepts: list[Any] = []
    for used in context.saes.values():
        there = last(context, used.site)
        active = round((1 - used.quality.dead_share) * len(used.sae.W_dec))
        count = 2 * min(pairs, active // 2)
        points, ends = np.full((pairs, 16, 2), np.nan), np.full((pairs, 2), np.nan)
        if count:
            rows = sae_top(used.sae, there.pool, count).vectors.double()
            rows = rows[stream(settings.seed, "pairs_of_sae_top").permutation(count)]
            anchors = there.bases(range(min(settings.anchors, settings.samples)))
            found = find_contours(there, anchors, rows.reshape(count // 2, 2, -1), ANGLES)
            points[: count // 2], ends[: count // 2] = found.points, found.intercepts
        contours.append(points)
        intercepts.append(ends)
    return xr.Dataset(
        {
            "contour": ((SAE, PAIR, POINT, AXIS), np.array(contours)),
            "intercepts": ((SAE, PAIR, AXIS), np.array(intercepts)),
        },
        coords=labels_of(context),
        attrs={**attributes(context), "anchors": min(settings.anchors, settings.samples)},
    )
