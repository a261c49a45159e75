"""How are a statistic's steps distributed? Figures 2, 3, A.1, B.1, B.2, C.1 and D.1."""

from __future__ import annotations

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from numpy.typing import NDArray

from steppe.core.axes import CONTEXT, KIND, MODE, SAMPLE
from steppe.reports.drawing import Drawing, Setting, add_legend, panels
from steppe.reports.style import house_style, label_of, style_of

# The authors' figures have 29 equal bins from the least to the largest step of all kinds.
BINS = 29

_ROW_TITLES = {
    "absolute": "absolute paths",
    "relative": "relative paths",
    "native": "bases in their own prompt",
    "foreign": "bases in another prompt",
}


def step_distribution(
    steps: xr.DataArray, setting: Setting, *, up_to: float | None = None
) -> Drawing:
    """Draw a histogram (left) and the cumulative share (right), one row per mode or context.

    Args:
        steps: Dimensions kind, sample, and mode or context if there are several; NaN are left
            out. The attribute ``long_name`` names the statistic.
        setting: The model and what a step is.
        up_to: Leave out steps above this, and take shares of the rest (the paper's Figure 3
            does so above 40).
    """
    group = next((dim for dim in (MODE, CONTEXT) if dim in steps.dims), None)
    labels = [""] if group is None else [str(label) for label in steps[group].values]
    kinds = [str(kind) for kind in steps[KIND].values]
    left_out = []
    with house_style():
        figure, grid = panels(len(labels))
        for label, (counts, shares) in zip(labels, grid, strict=True):
            part = steps if group is None else steps.sel({group: label})
            values = {kind: _kept(part.sel({KIND: kind}).values, up_to) for kind in kinds}
            left_out += _left_out(part.sizes[SAMPLE], values, _ROW_TITLES.get(label, label))
            _draw_row(counts, shares, values)
            name = steps.attrs.get("short_name", "")
            for ax in (counts, shares):
                ax.set_xlabel(f"{name} {setting.step_label(label)}".strip())
            if label:
                counts.set_title(_ROW_TITLES.get(label, label))
        add_legend(figure, kinds)
    return Drawing(figure, _caption(steps, setting, up_to, left_out))


def _kept(values: NDArray[np.float64], up_to: float | None) -> NDArray[np.float64]:
    kept = values[~np.isnan(values)]
    return kept if up_to is None else kept[kept <= up_to]


def _draw_row(counts: Axes, shares: Axes, values: dict[str, NDArray[np.float64]]) -> None:
    pooled = np.concatenate(list(values.values()))
    edges = _edges(pooled)
    for kind, steps in values.items():
        style = style_of(kind)
        if not len(steps):
            continue
        counts.hist(steps, edges, histtype="stepfilled", color=style.color, alpha=0.18)
        counts.hist(
            steps, edges, histtype="step", color=style.color, linestyle=style.dash, linewidth=1.3
        )
        reached, times = np.unique(steps, return_counts=True)
        # Drawn from the first edge to the last, so that the curves of all kinds meet.
        x = np.concatenate([[edges[0]], reached, [edges[-1]]])
        y = np.concatenate([[0], np.cumsum(times) / len(steps), [1]])
        shares.step(x, y, where="post", color=style.color, linestyle=style.dash)
    counts.set_ylabel("count")
    shares.set_ylabel("cumulative share")
    shares.set_ylim(0, 1.02)


def _edges(steps: NDArray[np.float64]) -> list[float]:
    low, high = (float(steps.min()), float(steps.max())) if len(steps) else (0.0, 0.0)
    if high - low >= BINS:
        return [float(edge) for edge in np.linspace(low, high, BINS + 1)]
    # Fewer whole steps than bins: one bin each, or the histogram would have gaps.
    return [float(edge) for edge in np.arange(np.floor(low) - 0.5, np.ceil(high) + 1)]


def _left_out(samples: int, values: dict[str, NDArray[np.float64]], row: str) -> list[str]:
    return [
        f"{samples - len(steps)} of {label_of(kind).lower()}{f' ({row})' if row else ''}"
        for kind, steps in values.items()
        if len(steps) < samples
    ]


def _caption(
    steps: xr.DataArray, setting: Setting, up_to: float | None, left_out: list[str]
) -> str:
    metric = str(steps.attrs.get("metric", "")).upper()
    why = "undefined" if up_to is None else f"undefined or above {up_to:g}"
    return setting.caption(
        f"Distribution of the {steps.attrs.get('long_name', 'step')}"
        f"{f' of {metric}' if metric else ''} for {_kinds_text(steps)}, "
        f"{_rows_text(steps, setting)}: histogram (left; {BINS} equal bins, or one per step) "
        f"and cumulative share (right), n = {steps.sizes[SAMPLE]} per kind.",
        f"Left out, as {why}: {', '.join(left_out)}." if left_out else "",
    )


def _kinds_text(steps: xr.DataArray) -> str:
    return ", ".join(label_of(str(kind)).lower() for kind in steps[KIND].values)


def _rows_text(steps: xr.DataArray, setting: Setting) -> str:
    """Each row of the figure with what a step is there, for instance "absolute paths, step ..."."""
    group = next((dim for dim in (MODE, CONTEXT) if dim in steps.dims), None)
    if group is None:
        return setting.step_label()
    labels = [str(label) for label in steps[group].values]
    return "; ".join(f"{_ROW_TITLES.get(x, x)}, {setting.step_label(x)}" for x in labels)
