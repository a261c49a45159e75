"""Search where a metric first reaches a level along paths from real activations."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import xarray as xr
from numpy.typing import NDArray
from torch import Tensor

from steppe.core.axes import DRAW, SAMPLE
from steppe.core.errors import InputError
from steppe.core.progress import progress
from steppe.core.sites import Site, as_site
from steppe.directions import DirectionSet
from steppe.metrics.catalogue import Metric, find_metrics, read_sites
from steppe.metrics.probe import ROWS, Probe
from steppe.models.model import Model
from steppe.paths import END, Family, FamilyMode, family_of
from steppe.propagation.forward import as_tokens
from steppe.propagation.prefix import Prefix, build_prefix
from steppe.propagation.propagate import LAST
from steppe.propagation.self_check import require_self_check
from steppe.propagation.suffix import Suffix
from steppe.statistics.search import Crossings, find_crossings


@dataclass(frozen=True)
class Level:
    """What a path is followed to.

    Attributes:
        value: The level, in the metric's unit.
        metric: A metric that is 0 at the base and grows; a name, or the metric itself.
        read: Where it looks, if it reads the residual stream.
    """

    value: float = 0.5
    metric: str | Metric = "kl"
    read: Site | str = LAST


def crossings(
    model: Model,
    tokens: Any,
    site: Site | str,
    displacements: Tensor | DirectionSet,
    *,
    level: Level | float = 0.5,
    path: FamilyMode = "sphere",
    n_points: int = 101,
) -> xr.Dataset:
    """Search where a metric first reaches a level along paths from each prompt's own activation.

    Some 12 points of a path are computed instead of all of them; a path that does not rise steadily
    is scanned.

    Args:
        model: The model; checked on its first use.
        tokens: Token ids ``(prompt, position)``.
        site: Where points are placed.
        displacements: Where to, ``(prompt, d_model)`` or ``(prompt, draw, d_model)``: only the
            direction matters. Fixed directions are followed from every prompt.
        level: The level; a number is one of KL in nats.
        path: ``sphere`` (positions are angles in degrees) or ``straight`` (lengths in norms of the
            base).
        n_points: Points of the grid that crossings are interpolated on.

    Returns:
        ``crossing`` (in the path's unit; NaN where never, or without a direction), ``censored``
        (whether it never reaches the level), ``scanned``, ``evaluations``; ``(sample[, draw])``.

    Raises:
        InputError: Anything that does not fit the model, or the self-check failed.
    """
    asked = level if isinstance(level, Level) else Level(float(level))
    ids, place = as_tokens(model, tokens, axes=2), as_site(site)
    names = None
    if isinstance(displacements, DirectionSet):
        names = displacements.names
        displacements = displacements.for_bases(len(ids))
    vectors = torch.as_tensor(displacements).detach().cpu()
    if vectors.ndim not in {2, 3} or len(vectors) != len(ids):
        raise InputError(
            "displacements",
            got=f"shape {tuple(vectors.shape)} for {len(ids)} prompts",
            expected="(prompt, d_model) or (prompt, draw, d_model)",
            fix="give one displacement per prompt, or several",
        )
    if not (np.isfinite(asked.value) and asked.value > 0) or n_points < 2:
        raise InputError(
            "crossings",
            got=f"level {asked.value}, {n_points} points",
            expected="a level above zero, and at least two points",
            fix="a crossing is of a metric that is 0 at the base and grows",
        )
    require_self_check(model, place, ids.shape[1])
    (metric,) = (one.of(model) for one in find_metrics([asked.metric]))
    read, found = as_site(asked.read), []
    reads, logits = read_sites([metric], read), metric.reads == "logits"
    with Suffix(model, place, read=reads, logits=logits) as suffix:
        search = Search(Probe(suffix, metric, read), asked.value)
        for row, sample in progress(zip(ids, vectors, strict=True), "prompts", total=len(ids)):
            prefix = build_prefix(model, row, place)
            ways = sample.reshape(-1, sample.shape[-1])
            base = prefix.base.float().cpu().expand(len(ways), -1)
            centered = model.coordinates == "centered"
            found.append(search(prefix, family_of(path, base, ways, mean_free=centered), n_points))
    dims = (SAMPLE, DRAW)[: vectors.ndim - 1]
    unit = END[path] / (n_points - 1)
    made = _labelled(found, dims, vectors.shape[:-1], unit, "degrees" if path == "sphere" else "1")
    return made if names is None else made.assign_coords({DRAW: list(names)})


@dataclass(frozen=True)
class Search:
    """Searches where a metric first reaches a level.

    Attributes:
        probe: The metric, and what it is measured with.
        level: The level.
    """

    probe: Probe
    level: float

    def __call__(self, prefix: Prefix, family: Family, n_points: int) -> Crossings:
        """Where the metric, from each path's own base, first reaches the level, in steps.

        All paths of a family are searched together: they share the prompt, and every round of the
        search is one batch of single points.

        Args:
            prefix: The prompt.
            family: Its paths; those without a direction stay undefined.
            n_points: Points of the grid that crossings are interpolated on.
        """
        defined = family.is_defined
        kept, positions = family.select(defined), family.grid(n_points)
        if not len(kept):
            found = find_crossings(lambda paths, _: np.empty(len(paths)), 0, n_points, self.level)
            return spread(found, defined.numpy())
        bases, which = kept.base.unique(dim=0, return_inverse=True)  # type: ignore[no-untyped-call]
        references = self._references(prefix, bases.float())

        def evaluate(paths: NDArray[np.int64], steps: NDArray[np.int64]) -> NDArray[np.float64]:
            values = []
            rows = [torch.from_numpy(part) for part in (paths, steps)]
            for path, step in zip(*(torch.split(part, ROWS) for part in rows), strict=True):
                points = kept.at(path, positions[step])
                outputs = self.probe.outputs(prefix, points, kept.base[path])
                values.append(self.probe.values(references, which[path], outputs))
            return torch.cat(values).double().cpu().numpy() if values else np.empty(0)

        return spread(find_crossings(evaluate, len(kept), n_points, self.level), defined.numpy())

    def _references(self, prefix: Prefix, bases: Tensor) -> Tensor:
        found = self.probe.outputs(prefix, bases, bases)
        at_base = float(self.probe.values(found, torch.arange(len(found)), found).abs().max())
        if at_base > 1e-3 * self.level:
            raise InputError(
                f"crossings of {self.probe.metric.name!r}",
                got=f"{at_base:.3g} at the base itself",
                expected="a metric that is 0 at the base and grows, such as kl, js, l2",
                fix="search for one of these, or measure whole curves",
            )
        return found


def spread(found: Crossings, defined: NDArray[np.bool_]) -> Crossings:
    """Crossings of all paths, from those of the paths that have a direction."""

    def whole(values: NDArray[Any], fill: object) -> NDArray[Any]:
        array = np.full(len(defined), fill, dtype=values.dtype)
        array[defined] = values
        return array

    return Crossings(
        step=whole(found.step, np.nan),
        censored=whole(found.censored, False),
        scanned=whole(found.scanned, False),
        evaluations=whole(found.evaluations, 0),
    )


def _labelled(
    found: list[Crossings], dims: tuple[str, ...], shape: tuple[int, ...], unit: float, name: str
) -> xr.Dataset:
    def arranged(values: list[NDArray[Any]]) -> NDArray[Any]:
        return np.stack(values).reshape(shape)

    position = arranged([one.step for one in found]) * unit
    variables: Mapping[str, Any] = {
        "crossing": (dims, position, {"unit": name, "long_name": "where the level is reached"}),
        "censored": (dims, arranged([one.censored for one in found])),
        "scanned": (dims, arranged([one.scanned for one in found])),
        "evaluations": (dims, arranged([one.evaluations for one in found])),
    }
    return xr.Dataset(variables)
