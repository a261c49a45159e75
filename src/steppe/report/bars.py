"""How large is something in each group? Bars with intervals, one colour a kind."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import ArrayLike, NDArray

from steppe.report.drawing import Drawing
from steppe.report.style import ROW_HEIGHT, WIDTH, house_style


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


def draw_bars(
    groups: Sequence[str], kinds: Sequence[Bars], y_label: str, caption: str, note: str = ""
) -> Drawing:
    """Draw bars side by side in each group, on a logarithmic axis.

    Args:
        groups: What is written under each group.
        kinds: The bars.
        y_label: What they are, with the unit.
        caption: What is shown: n, units, subject.
        note: Small print in the upper left corner: n and subject.
    """
    width = 0.8 / max(len(kinds), 1)
    with house_style():
        figure = Figure(figsize=(WIDTH, 1.3 * ROW_HEIGHT + 0.35), layout="constrained")
        ax = figure.subplots()
        for index, bars in enumerate(kinds):
            places = np.arange(len(groups)) + (index - (len(kinds) - 1) / 2) * width
            values = _array(bars.values)
            reach = np.abs(np.stack([values - _array(bars.low), _array(bars.high) - values]))
            ax.bar(places, values, width, color=bars.color, label=bars.label, alpha=0.85)
            ax.errorbar(places, values, reach, fmt="none", ecolor="black", elinewidth=0.7)
        ax.set_yscale("log")
        ax.set_xticks(np.arange(len(groups)), groups)
        ax.set_ylabel(y_label)
        ax.text(0.01, 0.99, note, transform=ax.transAxes, va="top", fontsize=6.5, color="0.4")
        figure.legend(loc="outside upper center", ncols=min(len(kinds), 4))
    return Drawing(figure, caption)


def _array(values: ArrayLike) -> NDArray[np.float64]:
    return np.asarray(values, dtype=np.float64)
