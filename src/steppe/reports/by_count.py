"""How does a number change with a count, and between before and after? Points with intervals."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from steppe.reports.drawing import Drawing, Setting, add_legend, n_of, panels, sign
from steppe.reports.style import house_style, label_of, style_of

Floats = NDArray[np.float64]
Estimate = tuple[float, float, float]


@dataclass(frozen=True, eq=False)
class CountPanel:
    """Medians against a count.

    Attributes:
        title: What the panel shows.
        y_label: What is measured, with its unit.
        counts: What the points are at.
        series: By kind: (number, low, high) at each count.
        levels: By kind: (number, low, high) that does not depend on the count.
    """

    title: str
    y_label: str
    counts: Sequence[int]
    series: Mapping[str, Sequence[Estimate]]
    levels: Mapping[str, Estimate]


def by_count(found: Sequence[CountPanel], x_label: str, what: str, setting: Setting) -> Drawing:
    """Draw numbers with their intervals against a count, beside those that have none.

    Args:
        found: Panels, side by side.
        x_label: What is counted.
        what: The caption's first words.
        setting: The model.
    """
    with house_style():
        figure, (axes,) = panels(1, len(found))
        for ax, panel in zip(axes, found, strict=True):
            for kind, (middle, low, high) in panel.levels.items():
                style = style_of(kind)
                ax.axhspan(low, high, color=style.color, alpha=0.16, linewidth=0)
                ax.axhline(middle, color=style.color, linestyle=style.dash)
            for place, (kind, estimates) in enumerate(panel.series.items()):
                style = style_of(kind)
                middle, low, high = np.array(estimates).T
                shifted = np.array(panel.counts) + 0.12 * (place - (len(panel.series) - 1) / 2)
                bars = np.abs(np.stack([middle - low, high - middle]))
                ax.errorbar(shifted, middle, bars, color=style.color, marker=style.marker,
                            markersize=4, linestyle=style.dash, linewidth=1)  # fmt: skip
            ax.set_xticks(list(panel.counts))
            ax.set_title(panel.title)
            ax.set_xlabel(x_label)
            ax.set_ylabel(panel.y_label)
        add_legend(figure, [*found[0].levels, *found[0].series])
        sign(figure, setting)
    return Drawing(figure, setting.caption(f"{what} Bars and bands: 95% bootstrap intervals."))


@dataclass(frozen=True, eq=False)
class ChangePanel:
    """Numbers before and after.

    Attributes:
        label: What is measured, with its unit.
        before: By kind, any shape; infinite or NaN are left out.
        after: The same, one to one.
    """

    label: str
    before: Mapping[str, Floats]
    after: Mapping[str, Floats]


def changes(found: Sequence[ChangePanel], what: str, setting: Setting) -> Drawing:
    """Draw numbers before (across) against after (up), one dot each, with the diagonal.

    Args:
        found: Panels, side by side.
        what: The caption's first words.
        setting: The model.
    """
    with house_style():
        figure, (axes,) = panels(1, len(found))
        left_out = 0
        for ax, panel in zip(axes, found, strict=True):
            ends, counts = [], []
            for kind in panel.before:
                style = style_of(kind)
                pair = np.stack([panel.before[kind].ravel(), panel.after[kind].ravel()])
                shown = np.isfinite(pair).all(axis=0)
                left_out += int((~shown).sum())
                counts.append(int(shown.sum()))
                ends += [pair[:, shown].min(initial=np.inf), pair[:, shown].max(initial=-np.inf)]
                ax.plot(*pair[:, shown], style.marker, color=style.color, markersize=3, alpha=0.55,
                        markeredgewidth=0)  # fmt: skip
            if np.isfinite(ends).all():
                low, high = min(ends), max(ends)
                ax.plot([low, high], [low, high], color="0.6", linewidth=0.8, linestyle="dotted")
            ax.set_title(f"{panel.label}, {n_of(counts)}")
            ax.set_xlabel("before")
            ax.set_ylabel("after")
        kinds = list(found[0].before)
        add_legend(figure, kinds, dots=True)
        sign(figure, setting)
    n = ", ".join(f"{label_of(kind).lower()} {found[0].before[kind].size}" for kind in kinds)
    return Drawing(
        figure,
        setting.caption(
            f"{what} Each dot is one start; dotted: no change. n: {n}.",
            f"Not shown, as they never cross: {left_out}." if left_out else "",
        ),
    )


def count_histogram(
    counts: Mapping[str, NDArray[np.integer]], what: str, setting: Setting
) -> Drawing:
    """Draw how counts are distributed, on a logarithmic axis.

    Args:
        counts: By kind, ``(sample,)``; zeros are drawn at one half.
        what: The caption's first words.
        setting: The model.
    """
    largest = max(int(values.max()) for values in counts.values())
    least = max(0.5, min(float(values.min()) for values in counts.values()))
    edges = np.geomspace(0.8 * least, 1.3 * max(largest, 2), 40).tolist()
    with house_style():
        figure, ((ax,),) = panels(1, 1)
        for kind, values in counts.items():
            style = style_of(kind)
            shown = np.maximum(values, 0.5)
            ax.hist(shown, edges, histtype="stepfilled", color=style.color, alpha=0.18)
            ax.hist(shown, edges, histtype="step", color=style.color, linestyle=style.dash)
            ax.axvline(
                float(np.median(shown)), color=style.color, linestyle=style.dash, linewidth=1
            )
        ax.set_xscale("log")
        ax.set_xlabel("active latents")
        ax.set_ylabel("vectors")
        n = n_of(map(len, counts.values()))
        ax.set_title(f"{n} per kind")
        add_legend(figure, list(counts))
        sign(figure, setting)
    return Drawing(figure, setting.caption(f"{what} {n} per kind; lines: medians."))
