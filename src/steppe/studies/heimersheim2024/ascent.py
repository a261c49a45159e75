"""Part 4, beyond the report: climbing the sensitivity, and what is found at the end.

A direction's sensitivity is the angle at which KL crosses the level. At that angle, the gradient of
KL says how to turn the direction so that KL grows there, and the crossing comes earlier; every few
steps the crossing is searched anew. What it ends at is compared with the model's own activations
and, where there is an SAE, with its decoder rows.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from steppe.activations.real import MINIMUM_DISTANCE
from steppe.core.axes import KIND, MOMENT, SAMPLE, START
from steppe.paths import family_of
from steppe.propagation import GradientSuffix, Prefix
from steppe.statistics import EVALUATIONS
from steppe.store import Template, Variable
from steppe.studies.heimersheim2024 import names as n
from steppe.studies.heimersheim2024.paths import Grid, Study, positions, searching
from steppe.studies.heimersheim2024.settings import Settings
from steppe.study import FunctionPart
from steppe.study.context import Arrays
from steppe.study.crossings import Search

# How far a direction turns in the first and the last step, in degrees.
_FIRST_TURN, _LAST_TURN = 8.0, 1.0
# The crossing is searched anew after this many steps.
_SEARCH_EVERY = 10
# Where a direction is climbed that never crosses the level.
_ANGLE_OF_NONE = 90.0
_DIMS = (KIND, SAMPLE, START, MOMENT)
_VARIABLES = {
    "crossing": Variable(_DIMS, "degrees", "where KL first reaches the level"),
    "censored": Variable(_DIMS, "1", "whether it never does", "bool"),
    "to_real": Variable(_DIMS, "1", "largest cosine to the way to a real activation"),
    "to_others": Variable(_DIMS, "1", "mean cosine to the base's other directions"),
    "turned": Variable(_DIMS[:-1], "degrees", "angle between before and after"),
}
_OF_SAE = {
    "to_decoder": Variable(_DIMS, "1", "largest absolute cosine to a decoder row"),
    "latent": Variable(_DIMS, "latent", "whose row that is", "int64"),
    "latent_is_active": Variable(_DIMS, "1", "whether it is active at the base", "bool"),
}


def lay_out_ascent(study: Study) -> Template:
    """What directions are before and after the ascent."""
    variables = _VARIABLES | (_OF_SAE if "sae" in study.needs else {})
    labels, sizes = {KIND: n.STARTS, MOMENT: n.MOMENTS}, {START: "ascent_starts"}
    return Grid(variables, labels, sizes, at_most="ascent_bases")(study)


def measure_ascent(study: Study, samples: range) -> Arrays:
    """Measure one shard: climb from every start of some bases."""
    bases = study.bases(samples)
    count = study.settings.ascent_starts
    starts = torch.cat([study.directions(bases, kind, count) for kind in n.STARTS], dim=1)
    made: list[Arrays] = []
    with searching(study) as search:
        for base, start, prefix in zip(bases.activations, starts, bases.prefixes, strict=True):
            climber = Climber(study, search, prefix, base)
            before = climber.beside(start)
            after = climber.climb(before)
            described = [climber.describe(way) for way in (before, after)]
            cosine = (before * after).sum(dim=1).clamp(-1, 1)
            made.append(
                {name: np.stack([one[name] for one in described], axis=-1) for name in described[0]}
                | {"turned": torch.rad2deg(torch.arccos(cosine)).float().numpy()}
            )
    arranged = {
        name: np.stack(
            [one[name].reshape(len(n.STARTS), count, *one[name].shape[1:]) for one in made], axis=1
        )
        for name in made[0]
    }
    return {**arranged, **bases.variables()}


@dataclass(frozen=True, eq=False)
class Climber:
    """Climbs the sensitivity at one base. Directions are unit vectors beside the base, float64.

    Attributes:
        study: The model, its real activations, and how many steps are taken.
        search: Open.
        prefix: The prompt.
        base: ``(d_model,)``.
    """

    study: Study
    search: Search
    prefix: Prefix
    base: Tensor

    def climb(self, way: Tensor) -> Tensor:
        """Turn directions ``(start, d_model)`` so that KL crosses the level at smaller angles."""
        steps = self.study.settings.ascent_steps
        suffix = GradientSuffix(self.study.model, self.prefix)
        outputs = self.search.probe.outputs(self.prefix, self.base[None])
        reference = outputs.log_softmax(-1).clone()
        radius = float(self.base.double().norm())
        angles = torch.zeros(len(way)).double()
        for step in range(steps):
            if step % _SEARCH_EVERY == 0:
                degrees, censored = self._crossings(way)
                degrees = np.where(censored, _ANGLE_OF_NONE, degrees)
                angles = torch.deg2rad(torch.from_numpy(degrees).nan_to_num(_ANGLE_OF_NONE))
            points = torch.cos(angles)[:, None] * self.base
            points = points + radius * torch.sin(angles)[:, None] * way
            _, gradient = suffix.gradient(points.float(), lambda logits: _kl(reference, logits))
            uphill = self.beside(gradient.cpu(), off=way)
            share = step / max(steps - 1, 1)
            turn = math.radians(_FIRST_TURN + (_LAST_TURN - _FIRST_TURN) * share)
            way = math.cos(turn) * way + math.sin(turn) * uphill.nan_to_num()
            way = way / way.norm(dim=1, keepdim=True)
        return way

    def describe(self, way: Tensor) -> Arrays:
        """What is stored of directions, ``(start,)`` each."""
        degrees, censored = self._crossings(way)
        kinds = torch.arange(len(way)) // (len(way) // len(n.STARTS))
        same = (kinds[:, None] == kinds).fill_diagonal_(False)
        cosines = (way @ way.T).where(same, 0).sum(dim=1) / same.sum(dim=1)
        return {
            "crossing": degrees.astype(np.float32),
            "censored": censored,
            "to_real": (way.float() @ self.real.T).max(dim=1).values.numpy(),
            "to_others": cosines.float().numpy(),
            **(self._nearest_row(way) if "sae" in self.study.needs else {}),
        }

    @cached_property
    def real(self) -> Tensor:
        """The ways to other real activations, ``(candidate, d_model)``."""
        pool = self.study.pool
        # The base's own prompt is in the pool, too, and equals it only up to rounding.
        return self.beside(pool[(pool - self.base).norm(dim=1) > MINIMUM_DISTANCE]).float()

    @cached_property
    def _rows(self) -> Tensor:
        """Decoder rows as directions beside the base, ``(latent, d_model)``."""
        return self.beside(self.study.sae.W_dec.detach().cpu()).float().nan_to_num()

    def _nearest_row(self, way: Tensor) -> Arrays:
        sae = self.study.sae
        with torch.no_grad():
            active = (sae.encode(self.base[None].to(sae.W_dec))[0] > 0).cpu()
        to_decoder, latent = (way.float() @ self._rows.T).abs().max(dim=1)
        return {
            "to_decoder": to_decoder.numpy(),
            "latent": latent.numpy(),
            "latent_is_active": active[latent].numpy(),
        }

    def beside(self, vectors: Tensor, off: Tensor | None = None) -> Tensor:
        """Unit vectors orthogonal to the base, and each to its row of ``off``, float64.

        Vectors and ``off`` are ``(row, d_model)``; NaN where nothing is left.
        """
        rows = vectors.double()
        if self.study.centered:
            rows = rows - rows.mean(dim=1, keepdim=True)
        unit = self.base.double() / self.base.double().norm()
        rows = rows - (rows @ unit)[:, None] * unit
        if off is not None:
            rows = rows - (rows * off).sum(dim=1, keepdim=True) * off
        return torch.as_tensor(rows / rows.norm(dim=1, keepdim=True))

    def _crossings(self, way: Tensor) -> tuple[np.ndarray, np.ndarray]:
        """Where directions cross the level, in degrees, and which never do."""
        n_points = self.study.settings.n_points
        base = self.base.expand(len(way), -1)
        family = family_of("sphere", base, way, mean_free=self.study.centered)
        found = self.search(self.prefix, family, n_points)
        return positions(found, family, n_points), found.censored


def _kl(reference: Tensor, logits: Tensor) -> Tensor:
    """KL(base || point) of each point, differentiable."""
    return (reference.exp() * (reference - logits.log_softmax(-1))).sum(dim=-1)


def _points(settings: Settings) -> int:
    """A gradient a step, and a search now and then, before and after."""
    starts = min(settings.samples, settings.ascent_bases) * len(n.STARTS) * settings.ascent_starts
    searches = 2 + -(-settings.ascent_steps // _SEARCH_EVERY)
    return starts * (settings.ascent_steps + searches * EVALUATIONS)


ASCENT = FunctionPart(
    n.ASCENT,
    lay_out_ascent,
    measure_ascent,
    frozenset({"pool", "moments", "sae"}),
    sae_adds="how near directions come to decoder rows",
    points=_points,
)
