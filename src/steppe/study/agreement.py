"""How far adaptive points agree with all of them, on the curves that a run has computed whole."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import pandas as pd
import xarray as xr
from numpy.typing import NDArray

from steppe.core.axes import SAMPLE, STEP
from steppe.curves import COMPUTED, metrics, points_of
from steppe.statistics.refinement import interpolated
from steppe.study.adaptive import CHECKED_SHARE, checked, is_adaptive
from steppe.study.analysis import Analysis
from steppe.study.curve_part import CurvePart
from steppe.study.part import ControlPart
from steppe.study.study import Study

TABLE = "agreement"
# Of all steps, so many have to lie within one of those from all points.
ENOUGH = 0.99
SHARES = ("equal", "within_one")
CAPTION = (
    "What adaptive points are worth: steps that were read off curves of which a part of the points "
    "was computed, against those from all points of the same curves, on the {share:.0%} of the "
    "curves that were computed whole (n; drawn at random). Largest difference in steps; undefined "
    "in one: steps that only one of both has, which agree in neither share. Points: mean number "
    "that the metric's curves asked for; whole: share of the curves that asked for most of their "
    "points and were computed whole. Error: of the reconstructed curves, in parts of their range."
)


@dataclass(frozen=True, eq=False)
class Agreement:
    """The agreement of a run.

    Attributes:
        table: One row per dataset, metric and statistic.
        points: By dataset: the mean number of points computed of a path, and all of them.
    """

    table: pd.DataFrame
    points: Mapping[str, tuple[float, int]]

    name: ClassVar[str] = TABLE
    caption: ClassVar[str] = CAPTION.format(share=CHECKED_SHARE)

    @property
    def facts(self) -> dict[str, Any]:
        """Plain data for the provenance."""
        rows = self.table.replace({np.nan: None}).to_dict("records")
        return {"points": {k: list(v) for k, v in self.points.items()}, "agreement": rows}

    @property
    def note(self) -> str:
        """What captions say of curves at adaptive points."""
        told = ", ".join(f"{mean:.1f} of {of} ({name})" for name, (mean, of) in self.points.items())
        return (
            f"Adaptive points: on average {told} points of a path were computed, and a cubic "
            f"spline lies between them (table {TABLE})."
        )

    @property
    def verdict(self) -> str:
        """Whether they agree well enough, in words."""
        rows = self.table[self.table["n"] > 0]
        if not len(rows):
            return "not measured: no curve of so small a run was drawn to be computed whole"
        equal, near = (float(np.average(rows[x], weights=rows["n"])) for x in SHARES)
        told = (
            f"{equal:.2%} of the steps equal those from all points, {near:.2%} lie within one "
            f"(largest difference {rows['largest_difference'].max():g}; "
            f"{rows['n'].sum()} steps of curves that were computed whole)"
        )
        low = rows[rows["within_one"] < ENOUGH]
        if not len(low):
            return told
        which = "; ".join(
            f"{row.dataset}, {row.statistic} of {row.metric}: {row.within_one:.2%} of {row.n} steps"
            for row in low.itertuples()
        )
        return (
            f"{told}. LESS THAN {ENOUGH:.0%} WITHIN ONE STEP: {which}. --points full, in another "
            "run folder, computes all points"
        )


def adaptive_parts(study: Study, analysis: Analysis) -> dict[str, CurvePart]:
    """The parts of a run whose curves were measured at adaptive points, by dataset."""
    if not is_adaptive(analysis.settings):
        return {}
    parts = {one.name: one for one in study.parts(analysis.settings)}
    inner = {name: one.part if isinstance(one, ControlPart) else one for name, one in parts.items()}
    return {
        name: part
        for name, part in inner.items()
        if isinstance(part, CurvePart) and part.read_off is not None and name in analysis.datasets
    }


def agreement(study: Study, analysis: Analysis) -> Agreement | None:
    """Compare the curves that were computed whole with what adaptive points made of them.

    Returns:
        None for a run whose points were all computed.
    """
    parts = adaptive_parts(study, analysis)
    if not parts:
        return None
    rows: list[dict[str, Any]] = []
    points = {}
    for dataset, part in parts.items():
        curves = analysis.datasets[dataset].load()
        rows += [{"dataset": dataset, **row} for row in _rows(part, analysis, curves)]
        asked = [curves[points_of(name)] == COMPUTED for name in metrics(curves)]
        of_path = np.logical_or.reduce(asked).sum(axis=-1)
        points[dataset] = (float(of_path.mean()), curves.sizes[STEP])
    return Agreement(pd.DataFrame(rows), points)


def _rows(part: CurvePart, analysis: Analysis, curves: xr.Dataset) -> Iterator[dict[str, Any]]:
    """One row per metric and statistic of a part."""
    settings, constants = analysis.settings, analysis.constants
    reads = [read for read in (part.read_off, part.also_read) if read is not None]
    labels = {dim: [str(name) for name in curves[dim].values] for dim in part.dims}
    drawn = checked(settings.seed, part.name, labels, range(curves.sizes[SAMPLE]))
    dims, names = (*part.dims, SAMPLE, STEP), metrics(curves)
    known = {name: curves[name].transpose(*dims).values for name in names}
    how = {name: curves[points_of(name)].transpose(*dims).values for name in names}
    rebuilt = {name: values.copy() for name, values in known.items()}
    for name, values in rebuilt.items():
        values[drawn] = interpolated(values[drawn], how[name][drawn] == COMPUTED)
    exact = {n: one for read in reads for n, one in read(settings, constants, curves).items()}
    refined = curves.assign({name: (dims, values) for name, values in rebuilt.items()})
    found = {n: one for read in reads for n, one in read(settings, constants, refined).items()}
    for metric in names:
        asked = how[metric] == COMPUTED
        common = {
            "points": float(asked.sum(axis=-1).mean()),
            "whole": float(asked.all(axis=-1).mean()),
            **errors(known[metric][drawn], rebuilt[metric][drawn]),
        }
        own = [name for name, steps in exact.items() if steps.attrs["metric"] == metric]
        for name in own or [""]:
            statistic = name.replace(f" of {metric}", "")
            row = {"metric": metric, "statistic": statistic}
            both = (
                one[name].transpose(*dims[:-1]).values[drawn] if name else np.empty(0)
                for one in (exact, found)
            )
            yield row | compared(*both) | common


def errors(known: NDArray[Any], rebuilt: NDArray[Any]) -> dict[str, float]:
    """How far curves ``(curve, step)`` are off at their worst step, in parts of their range."""
    defined = np.isfinite(known).all(axis=-1)
    spans = np.ptp(known[defined], axis=-1) if defined.any() else np.empty(0)
    off = np.abs(known - rebuilt)[defined].max(axis=-1, initial=0) if defined.any() else spans
    parts = off[spans > 0] / spans[spans > 0]
    if not len(parts):
        return {"median_error": np.nan, "largest_error": np.nan}
    return {"median_error": float(np.median(parts)), "largest_error": float(parts.max())}


def compared(exact: NDArray[Any], found: NDArray[Any]) -> dict[str, Any]:
    """How steps from adaptive points differ from those from all points, ``(curve,)`` each."""
    both = ~(np.isnan(exact) | np.isnan(found))
    neither = np.isnan(exact) & np.isnan(found)
    moved = np.abs(np.where(both, exact - found, 0))
    share = np.mean if len(exact) else lambda _: np.nan
    return {
        "n": len(exact),
        "equal": float(share(neither | (both & (moved == 0)))),
        "within_one": float(share(neither | (both & (moved <= 1)))),
        "largest_difference": float(moved.max()) if len(exact) else np.nan,
        "undefined_in_one": int((~both & ~neither).sum()),
    }
