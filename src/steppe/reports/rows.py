"""Which of many kinds is how large? One dot with its interval a row, in panels side by side."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from matplotlib.figure import Figure

from steppe.reports.drawing import Drawing, Setting, sign
from steppe.reports.style import KINDS, WIDTH, house_style, style_of


@dataclass(frozen=True)
class Row:
    """One number.

    Attributes:
        kind: What it is of; the first row is what others are compared with.
        value: The number; NaN leaves a gap.
        low: Lower end of its interval.
        high: Upper end.
    """

    kind: str
    value: float
    low: float
    high: float


@dataclass(frozen=True)
class RowPanel:
    """Numbers of the same kinds in the same order in every panel.

    Attributes:
        x_label: What they are, with the unit.
        rows: From above.
    """

    x_label: str
    rows: Sequence[Row]


def draw_rows(panels: Sequence[RowPanel], what: str, setting: Setting) -> Drawing:
    """Draw panels side by side, kinds named at the left, a dotted line at the first row's number.

    Args:
        panels: The panels.
        what: The caption's first words: n, units.
        setting: The model.
    """
    count = len(panels[0].rows)
    with house_style():
        figure = Figure(figsize=(WIDTH, 0.19 * count + 0.7), layout="constrained")
        (every,) = figure.subplots(1, len(panels), squeeze=False, sharey=True)
        for ax, panel in zip(every, panels, strict=True):
            for place, row in enumerate(panel.rows):
                reach = ([max(row.value - row.low, 0.0)], [max(row.high - row.value, 0.0)])
                ax.errorbar([row.value], [place], xerr=reach, fmt="o", markersize=4, capsize=2,
                            color=_color(row.kind))  # fmt: skip
            ax.axvline(panel.rows[0].value, color="0.5", linewidth=0.8, linestyle="dotted")
            ax.set_xlabel(panel.x_label)
        every[0].set_yticks(range(count), [style_of(row.kind).label for row in panels[0].rows])
        every[0].invert_yaxis()
        sign(figure, setting)
    return Drawing(figure, setting.caption(what))


def _color(kind: str) -> str:
    """A kind's own colour; one for all that have none, as each is named beside its dot."""
    return KINDS[kind].color if kind in KINDS else "0.35"
