"""How the output moves: along directions at every length, and under substitutions, per sample."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
import xarray as xr
from numpy.typing import NDArray
from torch import Tensor

from steppe.activations import Gaussian, estimate_moments, ordinary
from steppe.core.axes import POSITION, QUANTILE, SAMPLE, SERIES, STEP
from steppe.core.seeds import stream
from steppe.metrics import CleanOutputs, TokenCurves, clean_outputs, measure_tokens
from steppe.paths import DirectionRequest, blended, make_directions, make_substitution
from steppe.paths.directions import Source
from steppe.propagation import Prefix, Suffix, build_prefix, read_residuals
from steppe.store import Template, Variable
from steppe.studies.lee2024.plan import BLEND, WITH_FIRST, Series
from steppe.studies.lee2024.saes import plan_of
from steppe.study import Context
from steppe.study.part import attributes
from steppe.study.published import four_digits

Arrays = dict[str, NDArray[Any]]
# Also of other studies that ask for its lengths, scale and first position.
Here = Context[Any]
SHARD_SIZE = 4
QUANTILES = (0.1, 0.5, 0.9)
# Beyond this many nats a token's output counts as another one (Heimersheim and Mendel 2024).
CROSSING = 0.5
# Norm of an ordinary activation of GPT-2 before block 6: the authors' notebooks print 81.6 for one
# token, and a mean of 102.3 over all, which the first position, far longer, has a part in.
PAPER_NORM = 80.0
CALIBRATION_SEQUENCES = 200

_STREAM = "residual stream"
_READOUTS = {
    "kl": ("nats", "KL(clean || moved), mean over tokens but the first"),
    "kl_with_first": ("nats", "the same, the first token among them"),
    "loss_increase": ("nats", "loss increase, mean over tokens but the first"),
    "loss_increase_with_first": ("nats", "the same, the first among them"),
}
_ALONG = {
    "kl_quantile": ("nats", "quantile of KL over tokens"),
    "crossed": ("1", f"share of tokens with KL above {CROSSING:g} nats"),
}
_OF_SAMPLE = {
    "clean_loss": ("nats", "mean loss when nothing is moved"),
    "base_norm": (_STREAM, "mean norm of activations but the first"),
    "first_norm": (_STREAM, "norm of the first activation"),
}
_GEOMETRY = {
    "distance": (_STREAM, "mean distance to the base"),
    "cosine": ("1", "mean cosine to the base"),
    "norm_ratio": ("1", "mean norm over that of the base"),
}


def prepare(context: Here) -> dict[str, Any]:
    """What the settings leave open: lengths, their scale, and what is done to the first token."""
    settings = context.settings
    return {
        "sae_sources": list(settings.sae_sources),
        "paper_lengths": list(settings.paper_lengths),
        "scale": settings.scale or _measured_scale(context),
        "first_position": "kept" if settings.keeps_first else "replaced",
    }


def _measured_scale(context: Here) -> float:
    """Mean norm over GPT-2's, on sequences that are the same for every seed; 1 on GPT-2 itself."""
    if context.settings.is_paper:
        return 1.0
    order = stream(0, "calibration_prompts").permutation(len(context.prompts))
    norms = context.activations_everywhere(order[:CALIBRATION_SEQUENCES]).norm(dim=-1)
    return four_digits(float(norms[:, 1:].mean()) / PAPER_NORM)


def lengths_of(context: Here) -> NDArray[np.float64]:
    """The lengths that are scanned, from 0 on, in the model's own units, ``(step,)``."""
    lengths = np.array(context.settings.paper_lengths)
    return lengths * float(context.constants["scale"])


def gaussian_with_first(context: Here) -> Gaussian:
    """The Gaussian of a site's activations with the first positions among them."""
    activations = context.activations_everywhere(context.pool_rows).flatten(0, 1)
    chosen = ordinary(activations) if context.settings.ordinary_moments else activations
    return Gaussian.from_moments(estimate_moments(chosen))


@dataclass(frozen=True, eq=False)
class Opened:
    """One sequence that is about to be moved at one site.

    Attributes:
        context: Of the site.
        sample: Its number.
        suffix: The part of the model after the site, open.
        prefix: What all its points share.
        clean: Its own outputs.
        base: Its activations that are moved, ``(1, position, d_model)``, or ``(1, d_model)`` at the
            last position.
        prompt: All of its activations, ``(1, position, d_model)``; None where ``base`` has them.
    """

    context: Here
    sample: int
    suffix: Suffix
    prefix: Prefix
    clean: CleanOutputs
    base: Tensor
    prompt: Tensor | None = None

    @classmethod
    def of(cls, context: Here, suffix: Suffix, sample: int) -> Opened:
        """Run one sample's sequence as it is."""
        tokens = torch.from_numpy(context.prompts.tokens[context.order[sample]])
        following, prompt = None, None
        if context.site.position != "all":
            # The sequence's last token is what follows, not what is run.
            tokens, following = tokens[:-1], tokens[-1:]
            site = replace(context.site, position="all")
            prompt = read_residuals(context.model, tokens[None], site)
        prefix = build_prefix(context.model, tokens, context.site)
        clean = clean_outputs(suffix, prefix, following)
        return cls(context, sample, suffix, prefix, clean, prefix.base.float().cpu()[None], prompt)

    def request(self, sae: str = "", *, with_first: bool = False) -> DirectionRequest:
        """What its directions are made from.

        Args:
            sae: Label of the SAE.
            with_first: Count first positions in mean and covariance.
        """
        context = self.context
        used = context.saes[sae] if sae else None
        return DirectionRequest(
            base=self.base,
            generators=lambda name: context.generators(name, range(self.sample, self.sample + 1)),
            gaussian=context.once(gaussian_with_first) if with_first else context.gaussian,
            pool=context.pool,
            sae=used.sae if used else None,
            rates=used.rates if used else None,
            centered=context.centered,
            fixed=context.fixed,
            prompt=self.prompt,
            ordinary_from=1,
        )

    def curves(self, points: Tensor) -> TokenCurves:
        """How far the output is moved at each of some points ``(step, ..., d_model)``."""
        return measure_tokens(self.suffix, self.prefix, points, self.clean)

    def facts(self) -> dict[str, float]:
        """What is kept of the sample itself: the names of ``_OF_SAMPLE``."""
        base, loss = self.base[0], self.clean.loss
        if self.prompt is not None:
            ordinary, first = base[None], self.prompt[0, 0]
        else:
            ordinary, first, loss = base[1:], base[0], loss[1:]
        found = (loss.nanmean(), ordinary.norm(dim=-1).mean(), first.norm())
        return dict(zip(_OF_SAMPLE, map(float, found), strict=True))


def lay_out_directions(context: Here) -> Template:
    """Every series of directions that is planned: metrics at every length."""
    return lay_out_along(context, context.once(plan_of).directions)


def lay_out_along(context: Here, series: Sequence[Series]) -> Template:
    """Some series of directions: metrics at every length."""
    lengths, curve = lengths_of(context), (SERIES, SAMPLE, STEP)
    used = Variable((SERIES, SAMPLE), "1", "tokens that have a direction and are averaged", "int64")
    variables = {
        **_variables(_READOUTS | _ALONG, curve),
        "tokens_used": used,
        "tokens": Variable((SAMPLE, POSITION), "token", "the sequence", "int64"),
        **_variables(_OF_SAMPLE, (SAMPLE,)),
    }
    variables["kl_quantile"] = replace(variables["kl_quantile"], dims=(*curve, QUANTILE))
    coordinates = {
        "length": (STEP, lengths, {"unit": _STREAM, "long_name": "length"}),
        "paper_length": (STEP, lengths / context.constants["scale"], {"unit": "GPT-2's"}),
        QUANTILE: (QUANTILE, np.array(QUANTILES)),
    }
    return _template(context, variables, series, coordinates)


def lay_out_substitutions(context: Here) -> Template | None:
    """Every series of substitutions that is planned; None where there is none."""
    return lay_out_replaced(context, context.once(plan_of).substitutions)


def lay_out_replaced(context: Here, series: Sequence[Series]) -> Template | None:
    """Some series of substitutions: metrics of one point per token; None where there is none."""
    variables = _variables(_READOUTS | _GEOMETRY, (SERIES, SAMPLE))
    return _template(context, variables, series, {}) if series else None


def _variables(names: dict[str, tuple[str, str]], dims: tuple[str, ...]) -> dict[str, Variable]:
    return {name: Variable(dims, unit, meaning) for name, (unit, meaning) in names.items()}


def _template(
    context: Here,
    variables: dict[str, Variable],
    series: Sequence[Series],
    coordinates: dict[str, Any],
) -> Template:
    labels = {SERIES: "name", "kind": "kind", "site": "site", "sae": "sae"}
    named = {
        name: (SERIES, np.array([getattr(one, attribute) for one in series], object))
        for name, attribute in labels.items()
    }
    said = {**attributes(context), "positions": context.settings.positions}
    return Template(
        samples=context.settings.samples,
        shard_size=SHARD_SIZE,
        variables=variables,
        fixed=xr.Dataset(coords=named | coordinates, attrs=said),
        sizes={POSITION: context.prompts.tokens.shape[1]} if coordinates else {},
    )


def measure_directions(context: Here, samples: range) -> Arrays:
    """Measure some samples along every series of directions that is planned."""
    return measure_along(context, context.once(plan_of).directions, samples)


def measure_along(context: Here, series: Sequence[Series], samples: range) -> Arrays:
    """Measure some samples along series of directions.

    What is kept of a sample itself is known where one of them is at the study's own site.
    """
    lengths = lengths_of(context)
    shape = (len(series), len(samples), len(lengths))
    found = _undefined([*_READOUTS, *_ALONG], shape) | _undefined(_OF_SAMPLE, (len(samples),))
    found["kl_quantile"] = np.full((*shape, len(QUANTILES)), np.nan, np.float32)
    found["tokens_used"] = np.zeros(shape[:2], np.int64)
    for opened, column, mine in _each(context, series, samples):
        if opened.context is context:
            for name, fact in opened.facts().items():
                found[name][column] = fact
        for index, units in _units(opened, mine):
            defined = np.atleast_1d((~units.isnan().any(dim=-1)).numpy())
            curves = opened.curves(_along(opened.base[0], units.nan_to_num(0.0), lengths))
            for name, value in (_reduce(curves, defined) | _shape(curves, defined)).items():
                found[name][index, column] = value
    rows = context.order[samples.start : samples.stop]
    return {**found, "tokens": context.prompts.tokens[rows]}


def measure_substitutions(context: Here, samples: range) -> Arrays:
    """Measure some samples under every substitution that is planned."""
    return measure_replaced(context, context.once(plan_of).substitutions, samples)


def measure_replaced(context: Here, series: Sequence[Series], samples: range) -> Arrays:
    """Measure some samples under substitutions."""
    found = _undefined([*_READOUTS, *_GEOMETRY], (len(series), len(samples)))
    for opened, column, mine in _each(context, series, samples):
        for indices, points in _replacements(opened, mine):
            curves = opened.curves(points)
            values = _reduce(curves, np.ones(curves.kl.shape[1], bool))
            for name, value in (values | _geometry(opened.base[0], points)).items():
                found[name][indices, column] = value
    return found


def _each(
    context: Here, series: Sequence[Series], samples: range
) -> Iterator[tuple[Opened, int, list[tuple[int, Series]]]]:
    """Each sample opened at each site, its column, and the series measured there with numbers."""
    for site in dict.fromkeys(one.site for one in series):
        there = context.at(site)
        mine = [(i, one) for i, one in enumerate(series) if one.site == site]
        with there.suffix(read=[], logits=True) as suffix:
            for column, sample in enumerate(samples):
                yield Opened.of(there, suffix, sample), column, mine


def _units(opened: Opened, mine: list[tuple[int, Series]]) -> Iterator[tuple[int, Tensor]]:
    """Each series' number and directions, in the shape of a base, NaN where there is none."""
    requests = {sae: opened.request(sae) for sae in dict.fromkeys(one.sae for _, one in mine)}
    for index, one in mine:
        request, kind = requests[one.sae], one.kind
        if kind.endswith(WITH_FIRST):
            kind = kind.removesuffix(WITH_FIRST)
            request = opened.request(one.sae, with_first=True)
        if BLEND in kind:
            name, _, share = kind.partition(BLEND)
            source: Source = "real" if name == "real" else "cov_random"
            yield index, blended(request, source, float(share))[0]
        else:
            yield index, make_directions(kind, request)[0]


def _replacements(
    opened: Opened, mine: list[tuple[int, Series]]
) -> Iterator[tuple[list[int], Tensor]]:
    """The series of one SAE, and their points, ``(series, ..., d_model)``."""
    for sae in dict.fromkeys(one.sae for _, one in mine):
        request = opened.request(sae)
        group = [(index, one.kind) for index, one in mine if one.sae == sae]
        points = torch.stack([make_substitution(kind, request)[0] for _, kind in group])
        if points.ndim == 3 and opened.context.settings.keeps_first:
            points[:, 0] = opened.base[0, 0]
        yield [index for index, _ in group], points


def _along(base: Tensor, units: Tensor, lengths: NDArray[np.float64]) -> Tensor:
    """Points at all lengths, ``(step, ..., d_model)``; the first is the base, bit for bit."""
    return base + torch.from_numpy(lengths).float().reshape(-1, *[1] * base.ndim) * units


def _reduce(curves: TokenCurves, used: NDArray[np.bool_]) -> dict[str, NDArray[np.float64]]:
    """Means over tokens ``(step,)``: those that a token follows, with and without the first."""
    found = {}
    for suffix, start in (("", 1), ("_with_first", 0)):
        chosen = _scored(used, start)
        for name in ("kl", "loss_increase"):
            values = getattr(curves, name)[:, chosen]
            undefined = np.full(len(values), np.nan)
            means = values.mean(axis=1, dtype=np.float64) if values.shape[1] else undefined
            found[f"{name}{suffix}"] = means
    return found


def _shape(curves: TokenCurves, used: NDArray[np.bool_]) -> dict[str, NDArray[np.float64]]:
    chosen = _scored(used, 1)
    kl = curves.kl[:, chosen].astype(np.float64)
    if not chosen.any():
        undefined = np.full((len(kl), len(QUANTILES)), np.nan)
        return {"kl_quantile": undefined, "crossed": undefined[:, 0], "tokens_used": np.array(0)}
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


def _geometry(base: Tensor, points: Tensor) -> dict[str, NDArray[np.float64]]:
    """How the points ``(series, ..., d_model)`` lie to the bases: means over tokens ``(series,)``.

    The first of several tokens is left out.
    """
    is_one = base.ndim == 1
    base, points = (base[None], points[:, None]) if is_one else (base[1:], points[:, 1:])
    a, b = base.double(), points.double()
    length, lengths = a.norm(dim=-1), b.norm(dim=-1)
    found = ((b - a).norm(dim=-1), (a * b).sum(dim=-1) / (length * lengths), lengths / length)
    return {name: one.mean(dim=-1).numpy() for name, one in zip(_GEOMETRY, found, strict=True)}


def _undefined(names: Sequence[str] | dict[str, Any], shape: tuple[int, ...]) -> Arrays:
    return {name: np.full(shape, np.nan, np.float32) for name in names}
