"""How large is something in each group? Bars with intervals, one colour a kind."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import ArrayLike, NDArray

from steppe.reports.drawing import Drawing, write_note
from steppe.reports.style import ROW_HEIGHT, WIDTH, Dash, house_style


@dataclass(frozen=True, eq=False)
class Bars:
    """The bars of one kind, one a group.

    Attributes:
        label: Its entry in the legend.
        color: Its colour.
        values: ``(group,)``; NaN leaves a gap.
        low: Lower ends of the intervals.
        high: Upper ends.
    """

    label: str
    color: str
    values: ArrayLike
    low: ArrayLike
    high: ArrayLike


@dataclass(frozen=True)
class Level:
    """A line across all groups.

    Attributes:
        label: Its entry in the legend.
        value: Where it is.
        color: Its colour.
        dash: Its line style.
    """

    label: str
    value: float
    color: str
    dash: Dash = "solid"


@dataclass(frozen=True, eq=False)
class BarPanel:
    """Bars side by side in each group.

    Attributes:
        groups: What is written under each group.
        kinds: The bars.
        y_label: What they are, with the unit.
        levels: What belongs to no group.
        note: Small print in a corner: n and model.
    """

    groups: Sequence[str]
    kinds: Sequence[Bars]
    y_label: str
    levels: Sequence[Level] = field(default_factory=tuple)
    note: str = ""


def draw_bars(panel: BarPanel, caption: str) -> Drawing:
    """Draw bars on a logarithmic axis, with the legend above them.

    Args:
        panel: What is drawn.
        caption: What is shown: n, units, model.
    """
    kinds, places = panel.kinds, np.arange(len(panel.groups))
    width = 0.8 / max(len(kinds), 1)
    with house_style():
        figure = Figure(figsize=(WIDTH, 1.3 * ROW_HEIGHT + 0.35), layout="constrained")
        ax = figure.subplots()
        for index, bars in enumerate(kinds):
            at = places + (index - (len(kinds) - 1) / 2) * width
            values = _array(bars.values)
            reach = np.abs(np.stack([values - _array(bars.low), _array(bars.high) - values]))
            ax.bar(at, values, width, color=bars.color, label=bars.label, alpha=0.85)
            ax.errorbar(at, values, reach, fmt="none", ecolor="black", elinewidth=0.7)
        for level in panel.levels:
            ax.axhline(level.value, color=level.color, linestyle=level.dash, label=level.label)
        ax.set_yscale("log")
        ax.set_xticks(places, panel.groups)
        ax.set_ylabel(panel.y_label)
        low, high = ax.get_ylim()
        ax.set_ylim(top=high * (high / low) ** 0.08)  # room for the note
        write_note(ax, panel.note)
        figure.legend(loc="outside upper center", ncols=min(len(kinds) + len(panel.levels), 4))
    return Drawing(figure, caption)


def _array(values: ArrayLike) -> NDArray[np.float64]:
    return np.asarray(values, dtype=np.float64)
