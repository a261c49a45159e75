"""What a study tabulates and draws, as data."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from steppe.comparisons import mean_interval
from steppe.core.axes import KIND, MODE, SAMPLE, STEP
from steppe.reports import BandPanel, Drawing, Setting, Spread, curve_bands
from steppe.study.analysis import Analysis
from steppe.study.needs import Need


@dataclass(frozen=True)
class Table:
    """A table of a study.

    Attributes:
        name: Its file name.
        caption: What it shows: n, units, what brackets mean. The model is named after a text; a
            function of the analysis says everything itself.
        make: Makes it from the analysis; one without rows is left out.
        needs: Datasets or derived quantities that it is made from, and what of them.
        is_data: Written beside the figures that are drawn from it, and too long to be read.
    """

    name: str
    caption: str | Callable[[Any], str]
    make: Callable[[Any], pd.DataFrame]
    needs: Sequence[str | Need] = ()
    is_data: bool = False


@dataclass(frozen=True)
class Figure:
    """A figure of a study.

    Attributes:
        name: Its file name.
        draw: Draws it from the analysis; several ones, or none, as pairs of a file name's ending
            and a drawing.
        needs: Datasets or derived quantities that it is drawn from, and what of them.
    """

    name: str
    draw: Callable[[Any], Drawing | Iterable[tuple[str, Drawing]]]
    needs: Sequence[str | Need] = ()


@dataclass(frozen=True)
class Record:
    """Results in the files of another tool.

    Attributes:
        name: Their folder beside the tables.
        make: From the analysis to the files' names with what they hold, as plain data for JSON.
        needs: Datasets or derived quantities that they are made from, and what of them.
    """

    name: str
    make: Callable[[Any], Mapping[str, Any]]
    needs: Sequence[str | Need] = ()


class MeanTable(Table):
    """Mean and standard deviation of a quantity over samples, one row per label.

    Args:
        name: Its file name.
        caption: What the quantity is, and its unit.
        of: A derived quantity, or ``dataset/variable``, with the dimension ``sample``.
        median: Give the median as well.
    """

    def __init__(self, name: str, caption: str, *, of: str, median: bool = False) -> None:
        def make(analysis: Analysis) -> pd.DataFrame:
            return mean_table(analysis, name, analysis[of], median=median)

        note = "Brackets: 95% bootstrap intervals over base prompts."
        super().__init__(name, f"{caption} {note}", make, (of.partition("/")[0],))


def mean_table(
    analysis: Analysis, name: str, values: xr.DataArray, *, median: bool = False
) -> pd.DataFrame:
    """One row per label of every dimension but ``sample``: n, mean with interval, std."""
    others = [str(dim) for dim in values.dims if dim != SAMPLE]
    stacked = values.stack(row=others) if others else values.expand_dims("row")
    stacked = stacked.transpose("row", SAMPLE)
    drawn = analysis.resamples(name, values.sizes[SAMPLE])
    rows = []
    for index in range(stacked.sizes["row"]):
        one = stacked.isel(row=index)
        numbers = one.values.astype(np.float64)
        defined = numbers[~np.isnan(numbers)]
        interval = mean_interval(numbers, drawn)
        row: dict[str, Any] = {dim: one[dim].item() for dim in others}
        row |= {"n": len(defined)}
        row |= {"mean": float(defined.mean()) if len(defined) else np.nan}
        row |= {"mean_low": interval.low, "mean_high": interval.high}
        row |= {"std": float(defined.std()) if len(defined) else np.nan}
        if median:
            row |= {"median": float(np.median(defined)) if len(defined) else np.nan}
        row |= {"undefined": len(numbers) - len(defined)}
        rows.append(row)
    return pd.DataFrame(rows)


class CurveFigure(Figure):
    """Median and middle half of a quantity along paths, one panel per path.

    Args:
        name: Its file name.
        what: The caption's first words.
        of: A derived quantity, or ``dataset/variable``: kind, mode, sample, step.
        dataset: The dataset that says where steps lie.
        y_label: What the quantity is called, with its unit.
    """

    def __init__(self, name: str, what: str, *, of: str, dataset: str, y_label: str) -> None:
        def draw(analysis: Analysis) -> Drawing:
            return draw_curves(
                analysis[of], analysis.datasets[dataset], what, y_label, analysis.model
            )

        super().__init__(name, draw, (dataset,))


def draw_curves(
    curves: xr.DataArray, positions: xr.Dataset, what: str, y_label: str, model: str
) -> Drawing:
    """One panel per path: median and middle half of each kind's curves."""
    panels = []
    for mode in map(str, curves[MODE].values):
        where = positions[f"{mode}_position"]
        bands = {
            str(kind): Spread.of(
                curves.sel({KIND: kind, MODE: mode}).transpose(SAMPLE, STEP).values
            )
            for kind in curves[KIND].values
        }
        panels.append(BandPanel(mode, str(where.attrs["unit"]), y_label, where.values, bands))
    return curve_bands([panels], what, Setting(model=model))
