"""Curves of which only those points are computed that what is read off them rests on.

All paths of a prompt are refined together, a round being one batch; what is in it depends on the
sample alone. Some curves, drawn by a stream of their own, are computed whole afterwards: a report
says how far what was read off them without the further points differs (`agreement`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np
import torch
import xarray as xr
from numpy.typing import NDArray
from torch import Tensor

from steppe.core.axes import SAMPLE
from steppe.core.seeds import stream
from steppe.curves import CHECKED, COMPUTED, INTERPOLATED
from steppe.metrics import Metric, needs_logits, read_sites
from steppe.metrics.points import PointMetrics
from steppe.settings.study_settings import ADAPTIVE
from steppe.statistics import CATALOGUE, Statistic
from steppe.statistics.refinement import around, marked, refine
from steppe.study.context import Arrays, Bases, Context

# What part of the curves is computed whole to see what adaptive points are worth.
CHECKED_SHARE = 0.02

# From settings, constants, and labelled curves with what stands beside them, to the steps that are
# read off, by name; each says in its attributes of which metric and statistic it is (`steps_of`).
ReadOff = Callable[[Any, Mapping[str, Any], xr.Dataset], Mapping[str, xr.DataArray]]


def is_adaptive(settings: Any) -> bool:
    """Whether settings ask for adaptive points."""
    return getattr(settings, "points", "") == ADAPTIVE


@dataclass(frozen=True, eq=False)
class Places:
    """Which path every label of a dataset stands for: labels may share one.

    Attributes:
        path: ``(label,)`` the path of each label.
        count: How many paths there are.
    """

    path: NDArray[np.int64]
    count: int

    def spread(self, values: NDArray[Any]) -> NDArray[Any]:
        """From ``(path, ...)`` to ``(label, ...)``."""
        return values[self.path]

    def gathered(self, wanted: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """From ``(label, ...)`` to ``(path, ...)``: what any label of a path wants."""
        found = np.zeros((self.count, *wanted.shape[1:]), bool)
        np.logical_or.at(found, self.path, wanted)
        return found


def checked(
    seed: int, dataset: str, labels: Mapping[str, Sequence[str]], samples: Sequence[int]
) -> NDArray[np.bool_]:
    """Which curves are computed whole, by draws that hang on nothing but their own labels.

    Args:
        seed: The run's.
        dataset: The dataset.
        labels: Names along its dimensions, in order.
        samples: The samples.

    Returns:
        ``(*labels, sample)``
    """
    drawn = [
        stream(seed, " ".join(["checked curve", dataset, *label]), sample).random()
        for label in product(*labels.values())
        for sample in samples
    ]
    return np.reshape(drawn, (*map(len, labels.values()), -1)) < CHECKED_SHARE


@dataclass(frozen=True)
class AdaptiveCurves:
    """The curves of some samples, at adaptive points.

    Attributes:
        context: What is measured with.
        bases: Where the samples start.
        metrics: What is measured.
    """

    context: Context[Any]
    bases: Bases
    metrics: Sequence[Metric]

    def measure(
        self,
        paths: Sequence[Tensor],
        rests_on: Callable[[Mapping[str, NDArray[Any]]], Mapping[str, NDArray[np.bool_]]],
        whole: NDArray[np.bool_],
    ) -> tuple[Arrays, Arrays]:
        """Compute the points that are needed, then what is left of the curves to be checked.

        Args:
            paths: Each ``(sample, step, d_model)``.
            rests_on: From curves to the points that the answers rest on, by metric, both
                ``(path, sample, step)``.
            whole: The curves to be checked, ``(path, sample)``.

        Returns:
            By metric, ``(path, sample, step)`` each: values, and how each was come by.
        """
        shape = (len(paths), *paths[0].shape[:2])
        rows = (shape[0] * shape[1], shape[2])
        names, read = [one.name for one in self.metrics], self.context.read
        sites, logits = read_sites(self.metrics, read), needs_logits(self.metrics)
        with self.context.suffix(read=sites, logits=logits) as suffix:
            reader = PointMetrics(suffix, self.metrics, read)
            prefixes = self.bases.prefixes

            def evaluate(wanted: NDArray[np.bool_]) -> Arrays:
                points = wanted.reshape(shape)
                found = [
                    reader(prefix, torch.stack([path[i] for path in paths]), points[:, i])
                    for i, prefix in enumerate(prefixes)
                ]
                return {
                    name: np.stack([one[name] for one in found], axis=1).reshape(rows)
                    for name in names
                }

            def read_off(curves: Mapping[str, NDArray[Any]]) -> Arrays:
                asked = rests_on({name: one.reshape(shape) for name, one in curves.items()})
                return {name: points.reshape(rows) for name, points in asked.items()}

            refined = refine(evaluate, read_off, names, rows)
            also = {n: whole.ravel()[:, None] & ~one.computed for n, one in refined.items()}
            rest = evaluate(np.logical_or.reduce(list(also.values())))
        values = {n: np.where(also[n], rest[n], one.values) for n, one in refined.items()}
        how = {
            n: np.select([one.computed, also[n]], [COMPUTED, CHECKED], INTERPOLATED)
            for n, one in refined.items()
        }
        return (
            {name: one.reshape(shape) for name, one in values.items()},
            {name: one.astype(np.int8).reshape(shape) for name, one in how.items()},
        )


def points_that_count(
    steps: Mapping[str, xr.DataArray],
    curves: Mapping[str, NDArray[Any]],
    dims: Sequence[str],
) -> dict[str, NDArray[np.bool_]]:
    """The points that steps rest on.

    Args:
        steps: What was read off, by name; see `ReadOff`.
        curves: By metric, ``(*dims, sample, step)``.
        dims: The dimensions of labels.

    Returns:
        By metric, as the curves.
    """
    found: dict[str, NDArray[np.bool_]] = {}
    for one in steps.values():
        metric, name = str(one.attrs["metric"]), str(one.attrs["statistic"])
        read, values = one.transpose(*dims, SAMPLE).values, curves[metric]
        marks = marked(read, values.shape[-1])
        span = Statistic.rests_on
        if name in CATALOGUE:
            statistic = CATALOGUE[name]
            span = statistic.rests_on
            if statistic.rivals is not None:
                marks = marks | statistic.rivals(values, read)
        near = around(marks, span)
        found[metric] = found[metric] | near if metric in found else near
    return found
