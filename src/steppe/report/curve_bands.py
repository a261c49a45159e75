"""What does a typical curve look like, and how far do they scatter? Medians with bands."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from numpy.typing import NDArray

from steppe.report.drawing import Drawing, Setting, add_legend, panels, sign
from steppe.report.style import house_style, style_of

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
        bands: By kind.
        level: A horizontal line, where one matters.
        limits: Where both axes end; None: as far as the curves go.
    """

    title: str
    x_label: str
    y_label: str
    positions: Floats
    bands: Mapping[str, Spread]
    level: float | None = None
    limits: tuple[float, float] | None = None


def curve_bands(rows: Sequence[Sequence[BandPanel]], what: str, setting: Setting) -> Drawing:
    """Draw medians and quartiles of curves, one panel each.

    Args:
        rows: Panels by row, equally many in each.
        what: The caption's first words: what is shown.
        setting: The subject.
    """
    kinds = list(dict.fromkeys(kind for row in rows for panel in row for kind in panel.bands))
    with house_style():
        figure, grid = panels(len(rows), len(rows[0]))
        for axes, row in zip(grid, rows, strict=True):
            for ax, panel in zip(axes, row, strict=True):
                _draw(ax, panel)
        add_legend(figure, kinds)
        sign(figure, setting)
    counts = sorted({band.n for row in rows for panel in row for band in panel.bands.values()})
    n = f"{counts[0]}" if len(counts) == 1 else f"{counts[0]} to {counts[-1]}"
    levels = {panel.level for row in rows for panel in row if panel.level is not None}
    return Drawing(
        figure,
        setting.caption(
            f"{what} Lines: median; bands: the middle half of n = {n} curves per kind.",
            f"Dotted: {levels.pop():g} nats." if len(levels) == 1 else "",
        ),
    )


def _draw(ax: Axes, panel: BandPanel) -> None:
    for kind, band in panel.bands.items():
        style = style_of(kind)
        ax.fill_between(
            panel.positions, band.low, band.high, color=style.color, alpha=0.16, linewidth=0
        )
        ax.plot(panel.positions, band.middle, color=style.color, linestyle=style.dash)
    if panel.level is not None:
        ax.axhline(panel.level, color="0.4", linewidth=0.8, linestyle="dotted")
    counts = sorted({band.n for band in panel.bands.values()})
    n = "-".join(map(str, dict.fromkeys([counts[0], counts[-1]])))
    ax.set_title(f"{panel.title}, n = {n}")
    ax.set_xlabel(panel.x_label)
    ax.set_ylabel(panel.y_label)
    ax.set_xlim(float(panel.positions[0]), float(panel.positions[-1]))
    ax.set_ylim(bottom=0)
    if panel.limits is not None:
        ax.set_xlim(float(panel.positions[0]), panel.limits[0])
        ax.set_ylim(0, panel.limits[1])
    elif panel.x_label.endswith("(degrees)"):
        ax.set_xticks(np.arange(0, panel.positions[-1] + 1, 60))
