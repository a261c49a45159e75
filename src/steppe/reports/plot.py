"""Curves as a figure, from whatever `measure` returns or a run holds."""

from __future__ import annotations

import numpy as np
import xarray as xr
from matplotlib.figure import Figure

from steppe.core.axes import KIND, MODE, SAMPLE, STEP
from steppe.core.errors import InputError
from steppe.curves import is_metric
from steppe.reports.curve_bands import BandPanel, Spread, curve_bands
from steppe.reports.drawing import Setting

ALL = "curves"


def plot(curves: xr.Dataset | xr.DataArray, *metrics: str) -> Figure:
    """Draw the median and the middle half of curves, one column per metric.

    Args:
        curves: Metrics over ``step`` and ``sample``, and over ``kind`` and ``mode`` where there are
            several; other dimensions have to be selected first.
        metrics: Which of its variables; all that have steps when none is named.

    Returns:
        The figure; a notebook shows it.

    Raises:
        InputError: There is no such metric, or it has other dimensions.
    """
    if isinstance(curves, xr.DataArray):
        dataset = curves.to_dataset(name=curves.name or "value")
    else:
        dataset = curves
    names = metrics or tuple(str(n) for n, v in dataset.data_vars.items() if is_metric(str(n), v))
    for name in names:
        dims = set(dataset[name].dims) if name in dataset else set()
        if not {STEP, SAMPLE} <= dims or dims - {STEP, SAMPLE, KIND, MODE}:
            raise InputError(
                f"curves {name!r}",
                got=f"dimensions {', '.join(sorted(map(str, dims))) or 'none'}",
                expected="step and sample, and at most kind and mode beside them",
                fix="select one label of every other dimension first: curves.sel(...)",
            )
    modes = [str(m) for m in dataset[MODE].values] if MODE in dataset.dims else [""]
    rows = [[_panel(dataset, name, mode) for name in names] for mode in modes]
    what = "Change of the output along paths."
    model = str(dataset.attrs.get("model", "unknown"))
    return curve_bands(rows, what, Setting(model=model)).figure


def _panel(dataset: xr.Dataset, name: str, mode: str) -> BandPanel:
    values = (
        dataset[name].sel({MODE: mode}) if mode and MODE in dataset[name].dims else dataset[name]
    )
    if KIND not in values.dims:
        values = values.expand_dims({KIND: [ALL]})
    position = dataset.coords.get(f"{mode}_position")
    steps = np.arange(values.sizes[STEP]) if position is None else position.values
    label = "step" if position is None else str(position.attrs.get("unit", "position"))
    unit = values.attrs.get("unit", "1")
    bands = {
        str(kind): Spread.of(values.sel({KIND: kind}).transpose(SAMPLE, STEP).values)
        for kind in values[KIND].values
    }
    y_label = name if unit == "1" else f"{name} ({unit})"
    return BandPanel(mode or name, label, y_label, np.asarray(steps, dtype=np.float64), bands)
