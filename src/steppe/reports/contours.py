"""Planes of two directions: responses, contours with their superellipses, and their exponents."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from steppe.reports.drawing import Drawing, Setting, panels, sign
from steppe.reports.style import WIDTH, house_style, label_of, style_of

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Plane:
    """Responses of one pair of directions.

    Attributes:
        title: What the panel is called.
        angles: Along either direction, ``(angle,)``, in degrees.
        response: ``(angle, angle)``, along the first and along the second.
        threshold: That of the contour.
        p: The fitted exponent.
        intercepts: Where the contour meets both axes, in degrees.
    """

    title: str
    angles: Floats
    response: Floats
    threshold: float
    p: float
    intercepts: tuple[float, float]

    def fitted(self, p: float) -> Floats:
        """The superellipse of these intercepts and an exponent, ``(point, 2)`` in degrees."""
        tilt = np.linspace(0, np.pi / 2, 91)
        beside = np.stack([np.cos(tilt), np.sin(tilt)], axis=1) ** (2 / p)
        beside *= np.sin(np.radians(self.intercepts))
        length = np.linalg.norm(beside, axis=1, keepdims=True)
        return np.asarray(np.degrees(beside / length * np.arcsin(length.clip(max=1))))


def combination_sweep(planes: Sequence[Plane], what: str, setting: Setting) -> Drawing:
    """Draw the response along either direction alone, and along both at once."""

    def draw(ax: Axes, one: Plane) -> None:
        ax.plot(one.angles, one.response[:, 0], color="tab:blue", label="first alone")
        ax.plot(one.angles, one.response[0], color="tab:orange", label="second alone", ls="--")
        both = np.diag(one.response)
        turned = one.angles * np.sqrt(2)
        ax.plot(turned, both, color="black", label="both, as far in all", ls=":")
        ax.axhline(one.threshold, color="0.6", lw=0.7)
        ax.set_xlim(0, one.angles[-1])
        ax.set_xlabel("angle (degrees)")
        ax.set_ylabel("L2 (activation units)")

    return _each(planes, draw, what, setting)


def fitted_boundaries(planes: Sequence[Plane], what: str, setting: Setting) -> Drawing:
    """Draw contours over the responses, with the fitted superellipse and the ellipse."""

    def draw(ax: Axes, one: Plane) -> None:
        grid = (one.angles, one.angles, one.response.T)
        ax.pcolormesh(*grid, cmap="Blues", shading="nearest", rasterized=True)
        ax.contour(*grid, levels=[one.threshold], colors="black", linewidths=1.2)
        ax.plot(*one.fitted(one.p).T, color="tab:red", ls="--", label="superellipse")
        ax.plot(*one.fitted(2.0).T, color="tab:orange", ls=":", label="ellipse (p = 2)")
        ax.plot([], [], color="black", label="contour")
        ax.set_title(f"{label_of(one.title)}: p = {one.p:.2f}", fontsize=7.5)
        ax.set_aspect("equal")
        ax.set_xlabel("angle along the first (degrees)")
        ax.set_ylabel("along the second (degrees)")

    return _each(planes, draw, what, setting)


def beeswarm(
    values: Mapping[str, Floats], means: Mapping[str, Sequence[float]], y_label: str, what: str,
    setting: Setting,
) -> Drawing:  # fmt: skip
    """Draw a dot per pair of directions, and the mean of each family with its interval.

    Args:
        values: ``(pair,)`` by family.
        means: Mean, lower and upper end by family; none where only dots are drawn.
        y_label: What the values are.
        what: The caption's first words.
        setting: The model.
    """
    with house_style():
        figure = Figure(figsize=(WIDTH, 3.2), layout="constrained")
        ax = figure.subplots()
        for place, (family, numbers) in enumerate(values.items()):
            known = np.sort(numbers[~np.isnan(numbers)])
            aside = 0.3 * (np.arange(len(known)) * 0.618 % 1 - 0.5)
            ax.plot(place + aside, known, "o", ms=3, color=style_of(family).color, alpha=0.7)
            if family in means:
                mean, low, high = means[family]
                ax.errorbar(
                    place + 0.3, mean, [[mean - low], [high - mean]], fmt="_", color="black",
                    capsize=2, ms=8,
                )  # fmt: skip
        if means:
            ax.axhline(2, color="0.6", lw=0.7, zorder=0)
        ax.set_xticks(
            range(len(values)), [label_of(one) for one in values], rotation=25, ha="right"
        )
        ax.set_ylabel(y_label)
        sign(figure, setting)
    return Drawing(figure, setting.caption(what))


def exponents_along(
    series: Mapping[str, Floats], x_label: str, what: str, setting: Setting
) -> Drawing:
    """Draw mean exponents with intervals along an axis.

    Args:
        series: ``(place, 4)`` by family: place on the axis, mean, lower and upper end.
        x_label: The axis.
        what: The caption's first words.
        setting: The model.
    """
    with house_style():
        figure, ((ax,),) = panels(1, 1)
        for family, rows in series.items():
            x, mean, low, high = rows.T
            style = style_of(family)
            ax.plot(
                x,
                mean,
                ls=style.dash,
                marker=style.marker,
                ms=4,
                color=style.color,
                label=label_of(family),
            )
            ax.fill_between(x, low, high, color=style.color, alpha=0.15, lw=0)
        ax.axhline(2, color="0.6", lw=0.7)
        ax.set_xlabel(x_label)
        ax.set_ylabel("exponent p")
        if len(series) > 1:
            figure.legend(loc="outside upper center", ncols=3)
        sign(figure, setting)
    return Drawing(figure, setting.caption(what))


def _each(
    planes: Sequence[Plane], draw: Callable[[Axes, Plane], None], what: str, setting: Setting
) -> Drawing:
    rows = -(-len(planes) // 3)
    with house_style():
        figure, grid = panels(rows, 3)
        axes = [ax for row in grid for ax in row]
        for ax, one in zip(axes, planes, strict=False):
            ax.set_title(label_of(one.title))
            draw(ax, one)
        for ax in axes[len(planes) :]:
            ax.set_axis_off()
        figure.legend(*axes[0].get_legend_handles_labels(), loc="outside upper center", ncols=3)
        sign(figure, setting)
    return Drawing(figure, setting.caption(what))
