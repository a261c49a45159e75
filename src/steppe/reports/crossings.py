"""Where do paths cross a level, and can kinds be told apart by it? Histograms, shares and ROC."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from numpy.typing import NDArray

from steppe.comparisons import earlier_share, roc_curve
from steppe.reports.drawing import Drawing, Setting, add_legend, n_of, panels, sign
from steppe.reports.style import ROW_HEIGHT, house_style, label_of, style_of

Floats = NDArray[np.float64]
BINS = 36


@dataclass(frozen=True, eq=False)
class CrossingRow:
    """One row of axes.

    Attributes:
        title: What the paths are.
        x_label: What a crossing is, with its unit.
        end: Where paths end.
        crossings: By kind: any shape, infinite where a path never crosses, NaN where undefined.
    """

    title: str
    x_label: str
    end: float
    crossings: Mapping[str, Floats]

    def n(self, kind: str) -> int:
        """How many paths of a kind there are."""
        return int((~np.isnan(self.crossings[kind])).sum())


def crossing_distributions(
    rows: Sequence[CrossingRow], pairs: Sequence[tuple[str, str]], what: str, setting: Setting
) -> Drawing:
    """Draw histograms (left), shares that have crossed (middle) and ROC curves (right).

    Args:
        rows: One row of axes each.
        pairs: Kinds whose ROC is drawn: the one that is expected earlier, then the other. The kinds
            of the first pair have histograms.
        what: The caption's first words.
        setting: The model.
    """
    kinds = list(rows[0].crossings)
    never = []
    with house_style():
        figure, grid = panels(len(rows), 3)
        for (counts, shares, roc), row in zip(grid, rows, strict=True):
            _histogram(counts, row, pairs[0])
            _shares(shares, row)
            _roc(roc, row, pairs)
            for ax, shown in ((counts, pairs[0]), (shares, kinds), (roc, sum(pairs, ()))):
                ax.set_title(f"{row.title}, {n_of(map(row.n, shown))}")
            never += _never(row)
        add_legend(figure, kinds)
        sign(figure, setting)
    n = ", ".join(f"{rows[0].n(kind)} {label_of(kind).lower()}" for kind in kinds)
    told = "; ".join(
        f"{dash}, {label_of(first).lower()} (the first) and {label_of(second).lower()}"
        for dash, (first, second) in zip(("solid", "dashed"), pairs, strict=False)
    )
    return Drawing(
        figure,
        setting.caption(
            f"{what} Left: histogram of those that cross; middle: share that has crossed by then; "
            "right: telling two kinds apart by a threshold on the crossing (shares of both that "
            f"have crossed by it), with the area under the curve (0.5: not at all): {told}.",
            f"n = {n} ({rows[0].title}; the others alike).",
            f"Never cross: {', '.join(never)}." if never else "All paths cross.",
        ),
    )


def crossing_shares(rows: Sequence[CrossingRow], what: str, setting: Setting) -> Drawing:
    """Draw only the shares that have crossed: for many kinds.

    Args:
        rows: One pair of axes each, side by side.
        what: The caption's first words.
        setting: The model.
    """
    with house_style():
        figure, (axes,) = panels(1, len(rows))
        figure.set_figheight(1.35 * ROW_HEIGHT + 0.35)
        for ax, row in zip(axes, rows, strict=True):
            _shares(ax, row)
            ax.set_title(f"{row.title}, {n_of(map(row.n, row.crossings))}")
        add_legend(figure, list(rows[0].crossings))
        sign(figure, setting)
    n = n_of(row.n(kind) for row in rows for kind in row.crossings)
    return Drawing(
        figure,
        setting.caption(
            f"{what} Share of paths that have crossed by then; a line that ends below 1 has "
            f"paths that never do. {n} paths per kind."
        ),
    )


def _histogram(ax: Axes, row: CrossingRow, shown: Sequence[str]) -> None:
    edges = np.linspace(0, _last(row), BINS + 1).tolist()
    for kind in shown:
        style, values = style_of(kind), row.crossings[kind]
        values = values[np.isfinite(values)]
        ax.hist(values, edges, histtype="stepfilled", color=style.color, alpha=0.18)
        ax.hist(values, edges, histtype="step", color=style.color, linestyle=style.dash)
    ax.set_xlabel(row.x_label)
    ax.set_ylabel("paths")
    ax.set_xlim(0, _last(row))


def _shares(ax: Axes, row: CrossingRow) -> None:
    for kind, values in row.crossings.items():
        style = style_of(kind)
        defined = np.sort(values[~np.isnan(values)].ravel())
        reached = defined[np.isfinite(defined)]
        x = np.concatenate([[0.0], reached, [row.end]])
        y = np.concatenate([np.arange(len(reached) + 1), [len(reached)]]) / max(len(defined), 1)
        ax.step(x, y, where="post", color=style.color, linestyle=style.dash)
    ax.set_xlabel(row.x_label)
    ax.set_ylabel("share that has crossed")
    ax.set_xlim(0, _last(row))
    ax.set_ylim(0, 1.02)


def _last(row: CrossingRow) -> float:
    """Where the axis ends: little beyond the last crossings, or the path's own end."""
    pooled = np.concatenate([values.ravel() for values in row.crossings.values()])
    reached = pooled[np.isfinite(pooled)]
    if not len(reached):
        return row.end
    return min(row.end, 1.05 * float(np.quantile(reached, 0.995)))


def _roc(ax: Axes, row: CrossingRow, pairs: Sequence[tuple[str, str]]) -> None:
    ax.plot([0, 1], [0, 1], color="0.7", linewidth=0.8, linestyle="dotted")
    texts = []
    for place, (first, second) in enumerate(pairs):
        values = row.crossings[first], row.crossings[second]
        false, true = roc_curve(*values)
        ax.plot(false, true, color="black", linestyle=["solid", "dashed"][place % 2])
        dash = "—" if place % 2 == 0 else "- -"
        texts.append(f"{dash}  area {earlier_share(*values):.2f}")
    ax.text(0.98, 0.04, "\n".join(texts), ha="right", va="bottom", fontsize=7.5)
    ax.set_xlabel("crossed, second kind")
    ax.set_ylabel("crossed, first kind")
    ax.set_aspect("equal")
    ax.set_xlim(0, 1)
    ax.set_ylim(0, 1.02)


def _never(row: CrossingRow) -> list[str]:
    return [
        f"{int(np.isinf(values).sum())} of {label_of(kind).lower()} ({row.title})"
        for kind, values in row.crossings.items()
        if np.isinf(values).any()
    ]
