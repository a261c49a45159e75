"""Metrics along paths from real bases to targets of several kinds: the commonest part."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import product
from typing import Any

import numpy as np
import torch
import xarray as xr
from numpy.typing import NDArray
from torch import Tensor

from steppe.activations import KINDS
from steppe.core.axes import KIND, MODE, SAMPLE, STEP
from steppe.curves import points_of
from steppe.metrics import Metric, find_metrics, measure_paths, needs_logits, read_sites
from steppe.metrics.points import check_single_points
from steppe.paths import PATHS, Ends, lay_path
from steppe.store import Template, Variable
from steppe.study.adaptive import (
    AdaptiveCurves,
    Places,
    ReadOff,
    checked,
    is_adaptive,
    points_that_count,
)
from steppe.study.code_identity import code_of
from steppe.study.context import Arrays, Bases, Context
from steppe.study.needs import Need, wanted
from steppe.study.part import dataset_spec

HOW = "0: on the spline between its neighbours; 1: computed; 2: computed to check the spline"
TARGET_DISTANCE = {"target_distance": Variable((KIND, SAMPLE), "residual stream", "base to target")}


@dataclass(frozen=True, eq=False)
class Laid:
    """The paths of some samples, and what is known of them before anything is measured.

    Attributes:
        paths: By their labels along the part's dimensions: ``(sample, step, d_model)``. Of labels
            that share one tensor the curves are measured once.
        variables: Further variables of the dataset, these samples only.
    """

    paths: Mapping[tuple[str, ...], Tensor]
    variables: Arrays


Lay = Callable[[Context[Any], Bases, Mapping[str, Tensor]], Laid]


@dataclass(frozen=True)
class CurvePart:
    """Metrics along paths from real bases to targets of several kinds.

    Its dataset has one variable per metric with the dimensions kind, mode, sample, step; ``mode``
    is the path. ``<path>_position`` says where a step of each path lies, in the path's unit.

    Attributes:
        name: Name of the dataset.
        kinds: Kinds of target, names of `steppe.activations.KINDS`; or, where ``targets`` is given,
            the labels of what it returns.
        paths: Names of `steppe.paths.PATHS`; or, where ``lay`` is given, labels of what it lays.
        metrics: Names of metrics, or metrics; ``l2@<site>`` reads at that site.
        further_metrics: Those that are measured whatever outputs are singled out.
        n_points: Points of a path, the base and the end included.
        targets: Makes the targets itself, by kind, ``(sample, d_model)`` each.
        further_needs: What ``targets`` and ``lay`` cannot do without.
        lay: Lays the paths itself, from the bases and the targets by kind; the labels of kinds and
            paths that are not measured need not be there.
        dims: The dimensions of kinds and paths, in the dataset's order.
        variables: What ``lay`` knows beside the paths.
        read_off: The steps that the study reads off its curves. With it a study whose settings have
            ``points`` (`PointSettings`) measures adaptive points where these ask for them.
        also_read: Further steps that are read off, for which no points are added: how far they
            agree with those from all points is told beside the others.
    """

    name: str
    kinds: Sequence[str]
    paths: Sequence[str] = ("linear",)
    metrics: Sequence[str | Metric] = ("l2",)
    n_points: int = 101
    targets: Callable[[Context[Any], Bases], Mapping[str, Tensor]] | None = None
    further_needs: frozenset[str] = field(default_factory=frozenset)
    lay: Lay | None = None
    dims: tuple[str, str] = (KIND, MODE)
    variables: Mapping[str, Variable] = field(default_factory=lambda: TARGET_DISTANCE)
    read_off: ReadOff | None = None
    also_read: ReadOff | None = None
    further_metrics: Sequence[str | Metric] = ()

    @property
    def needs(self) -> frozenset[str]:
        """What its kinds and paths cannot be made without."""
        made = [PATHS.find(path).needs for path in self.paths] if self.lay is None else []
        if self.targets is None:
            made += [KINDS.find(kind).needs for kind in self.kinds]
        return self.further_needs.union(*made)

    @property
    def definition(self) -> dict[str, Any]:
        """Kinds, paths and metrics, with the code of those that are somebody's own."""
        kinds = {kind: code_of(KINDS[kind].make) for kind in self.kinds if kind in KINDS}
        laid = {path: code_of(self.lay or PATHS.find(path).lay) for path in self.paths}
        return {
            "kinds": list(self.kinds) if self.targets else kinds,
            "targets": code_of(self.targets),
            "paths": laid,
            "metrics": {
                one.name: f"{code_of(one.measure)} {one.content}".rstrip() for one in self._metrics
            },
            "n_points": self.n_points,
            **({} if self.read_off is None else {"read_off": code_of(self.read_off)}),
        }

    def points_of(self, settings: Any) -> int | None:
        """How many points it runs, at most: labels may share a path. None: the curves decide it."""
        if self._is_adaptive(settings):
            return None
        return int(settings.samples) * len(self.kinds) * len(self.paths) * self.n_points

    def without_sae(self) -> CurvePart | None:
        """The same part without the kinds that need an SAE."""
        if "sae" in self.further_needs:
            return None
        if self.targets is not None:
            return self
        kinds = [kind for kind in self.kinds if "sae" not in KINDS.find(kind).needs]
        return replace(self, kinds=kinds) if kinds else None

    def only(self, needs: Sequence[Need]) -> CurvePart:
        """The kinds, paths and metrics that outputs need, and the kinds of somebody's own."""
        asked = wanted(KIND, self.kinds, needs)
        metrics = {name for need in needs for name in need.metrics}
        every = not all(need.metrics for need in needs)
        other = next(dim for dim in self.dims if dim != KIND)
        return replace(
            self,
            kinds=[kind for kind in self.kinds if kind in asked or KINDS.is_own(kind)],
            paths=wanted(other, self.paths, needs),
            metrics=[one for one in find_metrics(self.metrics) if every or one.name in metrics],
        )

    @cached_property
    def _metrics(self) -> list[Metric]:
        return find_metrics([*self.metrics, *self.further_metrics])

    def metrics_of(self, context: Context[Any]) -> list[Metric]:
        """The metrics as they are measured on the study's model."""
        return [one.of(context.model) for one in self._metrics]

    @property
    def reads_logits(self) -> bool:
        """Whether one of its metrics looks at logits."""
        return needs_logits(self._metrics)

    @property
    def labels(self) -> dict[str, Sequence[str]]:
        """The labels along both dimensions, in the dataset's order."""
        return {dim: self.kinds if dim == KIND else self.paths for dim in self.dims}

    def spec(self, context: Context[Any]) -> Template:
        """One variable per metric, and where the steps lie."""
        dims = (*self.dims, SAMPLE, STEP)
        steps = {STEP: np.arange(self.n_points)} if self.lay else self._positions()
        how: dict[str, Variable] = {}
        mark = ""
        if self._is_adaptive(context.settings):
            check_single_points(context.model, self._metrics)
            how = {points_of(one.name): Variable(dims, "1", HOW, "int8") for one in self._metrics}
            mark = ", at adaptive points"
        curves = {
            one.name: Variable(dims, one.unit, f"{one.long_name}{mark}")
            for one in self.metrics_of(context)
        }
        return dataset_spec(
            context,
            curves | how | dict(self.variables),
            labels=self.labels,
            sizes={STEP: self.n_points},
            coordinates=steps,
        )

    def _positions(self) -> dict[str, Any]:
        return {
            f"{path.name}_position": (
                STEP,
                np.linspace(0, path.end, self.n_points),
                {"unit": path.unit, "long_name": f"where a step of a {path.name} path lies"},
            )
            for path in map(PATHS.find, self.paths)
        }

    def measure(self, context: Context[Any], samples: range) -> Arrays:
        """Measure every kind and path of some samples."""
        bases = context.bases(samples)
        laid = self.laid(context, bases)
        paths, places = self.distinct(laid)
        if self._is_adaptive(context.settings):
            curves = self._adaptive(context, bases, paths, (places, laid.variables))
        else:
            curves = self._full(context, bases, paths)
        return {
            **{name: self.arranged(places.spread(values)) for name, values in curves.items()},
            **laid.variables,
            **bases.variables(),
        }

    def laid(self, context: Context[Any], bases: Bases) -> Laid:
        """The paths of some samples, each to a target of each kind."""
        make = self.targets or (lambda context, bases: context.targets(bases, self.kinds))
        return (self.lay or self._lay)(context, bases, make(context, bases))

    def distinct(self, laid: Laid) -> tuple[list[Tensor], Places]:
        """The paths that are measured, each once, and which of them every label stands for."""
        labels = list(product(*self.labels.values()))
        paths = {id(path): path for key, path in laid.paths.items() if key in labels}
        order = list(paths)
        which = np.array([order.index(id(laid.paths[key])) for key in labels])
        return list(paths.values()), Places(which, len(order))

    def arranged(self, values: NDArray[Any]) -> NDArray[Any]:
        """From ``(label, sample, ...)`` to the dataset's order."""
        return values.reshape(*map(len, self.labels.values()), *values.shape[1:])

    def _lay(self, context: Context[Any], bases: Bases, targets: Mapping[str, Tensor]) -> Laid:
        """The paths of the registry."""
        around = any("pool" in PATHS.find(path).needs for path in self.paths)
        center = context.center if around else None
        ends = {
            kind: Ends(bases.activations, targets[kind], center, context.centered)
            for kind in self.kinds
        }
        distances = [(targets[kind] - bases.activations).norm(dim=1) for kind in self.kinds]
        return Laid(
            {
                (kind, path): lay_path(path, ends[kind], self.n_points)
                for kind in self.kinds
                for path in self.paths
            },
            {"target_distance": torch.stack(distances).numpy()},
        )

    def _full(self, context: Context[Any], bases: Bases, paths: Sequence[Tensor]) -> Arrays:
        """By metric: ``(path, sample, step)``."""
        metrics = self.metrics_of(context)
        reads, logits = read_sites(metrics, context.read), needs_logits(metrics)
        curves, first = [], 0
        with context.suffix(read=reads, logits=logits) as suffix:
            for batch in bases.batches:
                some = slice(first, first + batch.prompts)
                laid = torch.stack([path[some] for path in paths], dim=1)
                curves.append(measure_paths(suffix, batch, laid, metrics, context.read))
                first = some.stop
        return {
            one.name: np.concatenate([some[one.name] for some in curves]).swapaxes(0, 1)
            for one in self._metrics
        }

    def _adaptive(
        self,
        context: Context[Any],
        bases: Bases,
        paths: Sequence[Tensor],
        laid: tuple[Places, Arrays],
    ) -> Arrays:
        """The same at adaptive points, and how each point was come by."""
        places, beside = laid
        further = {name: (variable.dims, beside[name]) for name, variable in self.variables.items()}
        coords = {dim: list(names) for dim, names in self.labels.items()}

        def rests_on(curves: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[np.bool_]]:
            """The points that the study's steps rest on, by metric, ``(path, sample, step)``."""
            measured = {
                name: self.arranged(places.spread(values)) for name, values in curves.items()
            }
            dims = (*self.dims, SAMPLE, STEP)
            labelled = {name: (dims, values) for name, values in measured.items()}
            steps = self._read(context, xr.Dataset({**labelled, **further}, coords))
            wanted = points_that_count(steps, measured, self.dims)
            return {
                name: places.gathered(points.reshape(-1, *points.shape[2:]))
                for name, points in wanted.items()
            }

        whole = checked(context.settings.seed, self.name, self.labels, bases.samples)
        whole = places.gathered(whole.reshape(-1, len(bases.samples)))
        curves = AdaptiveCurves(context, bases, self.metrics_of(context))
        values, how = curves.measure(paths, rests_on, whole)
        return values | {points_of(name): one for name, one in how.items()}

    def _is_adaptive(self, settings: Any) -> bool:
        return self.read_off is not None and is_adaptive(settings)

    def _read(self, context: Context[Any], curves: xr.Dataset) -> Mapping[str, xr.DataArray]:
        assert self.read_off is not None
        return self.read_off(context.settings, context.constants, curves)
