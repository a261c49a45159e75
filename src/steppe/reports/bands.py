"""How does something change with length, or sparsity? Lines with their intervals, in panels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, NullLocator, ScalarFormatter
from numpy.typing import ArrayLike

from steppe.reports.drawing import Drawing, legend_columns, panels, write_note
from steppe.reports.style import Dash, house_style

LogAxes = Literal["", "x", "y", "xy"]


@dataclass(frozen=True, eq=False)
class Band:
    """One line and its interval.

    Attributes:
        label: Its entry in the legend, shared by the lines of one name; empty for none.
        x: ``(point,)``.
        y: ``(point,)``.
        color: Colour.
        low: Lower ends of the intervals; None for none.
        high: Upper ends.
        dash: Line style.
        marker: Marks points, and intervals become bars; empty: a line with a shaded band.
        is_hollow: Whether the marks are filled with white.
    """

    label: str
    x: ArrayLike
    y: ArrayLike
    color: str
    low: ArrayLike | None = None
    high: ArrayLike | None = None
    dash: Dash = "solid"
    marker: str = ""
    is_hollow: bool = False


@dataclass(frozen=True, eq=False)
class Panel:
    """One set of axes.

    Attributes:
        title: Above it.
        bands: What is drawn.
        x_label: What x is, with its unit.
        y_label: What y is, with its unit; empty to leave it out.
        log: Which axes are logarithmic.
        marks: Where dotted vertical lines stand.
        level: Where a dotted horizontal line stands.
        ticks: The only places of marks on the x axis; empty for the usual ones.
        note: Small print in a corner: n and model.
        note_at: Which corner on the left.
    """

    title: str
    bands: Sequence[Band]
    x_label: str
    y_label: str
    log: LogAxes = ""
    marks: Sequence[float] = field(default_factory=tuple)
    level: float | None = None
    ticks: Sequence[float] = field(default_factory=tuple)
    note: str = ""
    note_at: Literal["top", "bottom"] = "top"


def draw_bands(
    shown: Sequence[Panel], caption: str, *, columns: int = 2, same_y: bool = False
) -> Drawing:
    """Draw panels row by row, with one legend above them.

    Args:
        shown: The panels; the last row may be short.
        caption: What is shown: n, units, model.
        columns: Panels per row.
        same_y: Whether all panels have one y axis.
    """
    with house_style():
        figure, grid = panels(-(-len(shown) // columns), columns)
        every = [ax for row in grid for ax in row]
        for ax, panel in zip(every, shown, strict=False):
            _draw(ax, panel)
        for ax in every[len(shown) :]:
            ax.remove()
        if same_y:
            drawn = every[: len(shown)]
            low, high = zip(*(ax.get_ylim() for ax in drawn), strict=True)
            for ax in drawn:
                ax.set_ylim(min(low), max(high))
        _add_legend(figure, every[: len(shown)])
    return Drawing(figure, caption)


def _draw(ax: Axes, panel: Panel) -> None:
    for band in panel.bands:
        _draw_band(ax, _from_first_positive(band) if "x" in panel.log else band)
    if "x" in panel.log:
        ax.set_xscale("log")
    elif not any(band.marker for band in panel.bands):
        ax.margins(x=0)
    for mark in panel.marks:
        ax.axvline(mark, color="0.5", linewidth=0.8, linestyle="dotted", zorder=0)
    if panel.level is not None:
        ax.axhline(panel.level, color="0.5", linewidth=0.8, linestyle="dotted", zorder=0)
    if "y" in panel.log:
        ax.set_yscale("log")
    else:
        # What falls below zero by less than a line's width does not count.
        is_negative = ax.dataLim.ymin < -0.01 * ax.dataLim.ymax
        ax.set_ylim(bottom=ax.get_ylim()[0] if is_negative else 0.0)
    if len(panel.ticks):
        ax.xaxis.set_major_locator(FixedLocator(list(panel.ticks)))
        ax.xaxis.set_minor_locator(NullLocator())
        ax.xaxis.set_major_formatter(ScalarFormatter())
    write_note(ax, panel.note, panel.note_at)
    ax.set_title(panel.title)
    ax.set_xlabel(panel.x_label)
    ax.set_ylabel(panel.y_label)


def _from_first_positive(band: Band) -> Band:
    """Without the points that a logarithmic axis has no place for."""
    x = np.asarray(band.x, dtype=np.float64)
    kept = {
        name: None if values is None else np.asarray(values, dtype=np.float64)[x > 0]
        for name, values in (("x", x), ("y", band.y), ("low", band.low), ("high", band.high))
    }
    return replace(band, **kept)  # type: ignore[arg-type]


def _draw_band(ax: Axes, band: Band) -> None:
    label = band.label or "_"
    if band.marker and band.low is not None and band.high is not None:
        low = [max(y - end, 0.0) for y, end in zip(_floats(band.y), _floats(band.low), strict=True)]
        high = [
            max(end - y, 0.0) for y, end in zip(_floats(band.y), _floats(band.high), strict=True)
        ]
        ax.errorbar(
            band.x, band.y, (low, high), color=band.color, linestyle=band.dash, label=label,
            marker=band.marker, markersize=4, capsize=2, linewidth=1.1,
            markerfacecolor="white" if band.is_hollow else band.color,
        )  # fmt: skip
        return
    ax.plot(
        band.x, band.y, color=band.color, linestyle=band.dash, marker=band.marker or None,
        markersize=4, label=label,
    )  # fmt: skip
    if band.low is not None and band.high is not None:
        ax.fill_between(
            _floats(band.x), _floats(band.low), _floats(band.high), color=band.color,
            alpha=0.18, linewidth=0,
        )  # fmt: skip


def _floats(values: ArrayLike) -> list[float]:
    return [float(value) for value in values]  # type: ignore[union-attr, arg-type]


def _add_legend(figure: Figure, axes: Sequence[Axes]) -> None:
    found: dict[str, Artist] = {}
    for ax in axes:
        handles, labels = ax.get_legend_handles_labels()
        for handle, label in zip(handles, labels, strict=True):
            found.setdefault(label, handle)
    if found:
        columns = legend_columns(list(found))
        figure.legend(list(found.values()), list(found), loc="outside upper center", ncols=columns)
