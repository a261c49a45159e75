"""What does a typical curve look like, and how do single ones scatter? Bands and lines."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from steppe.reports.drawing import Drawing, Setting, add_legend, n_of, panels, sign
from steppe.reports.style import house_style, style_of

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Spread:
    """The middle half of some curves.

    Attributes:
        n: Number of curves.
        low: Lower quartile at every position, ``(step,)``.
        middle: Median.
        high: Upper quartile.
    """

    n: int
    low: Floats
    middle: Floats
    high: Floats

    @classmethod
    def of(cls, curves: NDArray[np.floating]) -> Spread:
        """Summarise curves ``(sample, step)``; those with NaN are left out."""
        whole = curves[~np.isnan(curves).any(axis=1)].astype(np.float64)
        if not len(whole):
            nothing = np.full(curves.shape[1], np.nan)
            return cls(0, nothing, nothing, nothing)
        low, middle, high = np.quantile(whole, [0.25, 0.5, 0.75], axis=0)
        return cls(len(whole), low, middle, high)


@dataclass(frozen=True, eq=False)
class BandPanel:
    """One pair of axes.

    Attributes:
        title: What the panel shows.
        x_label: What a position is, with its unit.
        y_label: What is measured, with its unit.
        positions: ``(step,)``.
        bands: By kind: the middle half of its curves.
        level: A horizontal line, where one matters.
        limits: Where both axes end; None: as far as the curves go.
        singles: By kind: curves that are drawn one by one, ``(curve, step)``.
    """

    title: str
    x_label: str
    y_label: str
    positions: Floats
    bands: Mapping[str, Spread] = field(default_factory=dict)
    level: float | None = None
    limits: tuple[float, float] | None = None
    singles: Mapping[str, NDArray[np.floating]] = field(default_factory=dict)

    @property
    def n(self) -> str:
        """How many curves there are of each kind."""
        return n_of(
            [band.n for band in self.bands.values()] + [len(x) for x in self.singles.values()]
        )


def curve_bands(rows: Sequence[Sequence[BandPanel]], what: str, setting: Setting) -> Drawing:
    """Draw medians and quartiles of curves, one panel each.

    Args:
        rows: Panels by row, equally many in each.
        what: The caption's first words: what is shown.
        setting: The model.
    """
    n = n_of(band.n for row in rows for panel in row for band in panel.bands.values())
    text = f"{what} Lines: median; bands: the middle half of {n} curves per kind."
    return Drawing(_figure(rows, setting), setting.caption(text, _dotted(rows)))


def single_curves(rows: Sequence[Sequence[BandPanel]], what: str, setting: Setting) -> Drawing:
    """Draw curves one by one, one panel each.

    Args:
        rows: Panels by row, equally many in each.
        what: The caption's first words: what is shown.
        setting: The model.
    """
    n = n_of(len(x) for row in rows for panel in row for x in panel.singles.values())
    text = f"{what} Each line is one path, {n} per kind and panel."
    return Drawing(_figure(rows, setting), setting.caption(text, _dotted(rows)))


def _figure(rows: Sequence[Sequence[BandPanel]], setting: Setting) -> Figure:
    shown = [panel for row in rows for panel in row]
    kinds = list(dict.fromkeys(kind for one in shown for kind in (*one.bands, *one.singles)))
    with house_style():
        figure, grid = panels(len(rows), len(rows[0]))
        for axes, row in zip(grid, rows, strict=True):
            for ax, panel in zip(axes, row, strict=True):
                _draw(ax, panel)
        add_legend(figure, kinds)
        sign(figure, setting)
    return figure


def _dotted(rows: Sequence[Sequence[BandPanel]]) -> str:
    levels = {panel.level for row in rows for panel in row if panel.level is not None}
    return f"Dotted: {levels.pop():g} nats." if len(levels) == 1 else ""


def _draw(ax: Axes, panel: BandPanel) -> None:
    for kind, curves in panel.singles.items():
        style = style_of(kind)
        ax.plot(panel.positions, curves.T, color=style.color, linewidth=0.7, linestyle=style.dash)
    for kind, band in panel.bands.items():
        style = style_of(kind)
        ax.fill_between(
            panel.positions, band.low, band.high, color=style.color, alpha=0.16, linewidth=0
        )
        ax.plot(panel.positions, band.middle, color=style.color, linestyle=style.dash)
    if panel.level is not None:
        ax.axhline(panel.level, color="0.4", linewidth=0.8, linestyle="dotted")
    ax.set_title(f"{panel.title}, {panel.n}")
    ax.set_xlabel(panel.x_label)
    ax.set_ylabel(panel.y_label)
    ax.set_xlim(float(panel.positions[0]), float(panel.positions[-1]))
    if ax.dataLim.y0 >= 0:
        ax.set_ylim(bottom=0)
    if panel.limits is not None:
        ax.set_xlim(float(panel.positions[0]), panel.limits[0])
        ax.set_ylim(0, panel.limits[1])
    elif panel.x_label.endswith("(degrees)"):
        ax.set_xticks(np.arange(0, panel.positions[-1] + 1, 60))
