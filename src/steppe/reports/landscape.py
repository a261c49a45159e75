"""What does the output do over a plane, or over a triangle of targets? Surfaces and maps."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import Collection
from matplotlib.figure import Figure
from matplotlib.patheffects import withStroke
from matplotlib.tri import Triangulation
from numpy.typing import NDArray

from steppe.reports.drawing import Drawing, Setting, sign
from steppe.reports.style import WIDTH, house_style

Floats = NDArray[np.float64]
_HEIGHT = 3.3
# Sides that a surface can be seen from, in degrees, and how far apart its marks are to stand.
_AZIMUTHS = (-60.0, -70.0, -80.0, -90.0)
_APART = 0.15
# So that white letters are seen on light ground.
_OUTLINE = withStroke(linewidth=1.8, foreground="black")


@dataclass(frozen=True, eq=False)
class PlaneMap:
    """KL over a plane.

    Attributes:
        first: Places along the first axis, ``(column,)``.
        second: Places along the second axis, ``(row,)``.
        kl: From the output at the base, in nats, ``(row, column)``.
        corners: Places of the three activations, the base first, ``(3, 2)``.
    """

    first: Floats
    second: Floats
    kl: Floats
    corners: Floats


def plane(found: PlaneMap, number: int, setting: Setting) -> Drawing:
    """Draw KL over a plane as a surface (left) and as a map (right).

    Args:
        found: What was measured.
        number: Which plane it is, for the caption.
        setting: The model.
    """
    top = float(np.nanmax(found.kl))
    columns, rows = np.meshgrid(found.first, found.second)
    with house_style():
        figure = Figure(figsize=(WIDTH, _HEIGHT), layout="constrained")
        surface = figure.add_subplot(1, 2, 1, projection="3d")
        surface.plot_surface(
            columns, rows, found.kl, cmap="viridis", rcount=80, ccount=80, linewidth=0,
            antialiased=True, vmin=0, vmax=top,
        )  # fmt: skip
        for (x, y), name in zip(found.corners, "ABC", strict=True):
            foot = found.kl[np.abs(found.second - y).argmin(), np.abs(found.first - x).argmin()]
            surface.plot([x, x], [y, y], [foot, 1.15 * top], color="black", zorder=10)
            surface.text(x, y, 1.2 * top, name, zorder=11).set_in_layout(False)
        surface.view_init(elev=38, azim=_azimuth(found))
        surface.set_title(f"KL (nats), n = {found.kl.size} points", loc="center", pad=-4)
        surface.set_xlabel("along A to B", fontsize=7, labelpad=-7)
        surface.set_ylabel("across", fontsize=7, labelpad=-7)
        surface.tick_params(labelsize=6, pad=-2)
        surface.set_box_aspect((1, 1, 0.7), zoom=0.92)
        seen = figure.add_subplot(1, 2, 2)
        mesh = seen.pcolormesh(found.first, found.second, found.kl, cmap="viridis", vmin=0,
                               vmax=top, rasterized=True)  # fmt: skip
        _contours(seen, found)
        for (x, y), name in zip(found.corners, "ABC", strict=True):
            seen.plot(x, y, "o", color="white", markeredgecolor="black", markersize=5)
            seen.annotate(name, (x, y), (4, 4), textcoords="offset points", color="white",
                          fontweight="bold", path_effects=[_OUTLINE])  # fmt: skip
        seen.set_aspect("equal")
        seen.set_xlabel("along A to B (activation units)")
        seen.set_ylabel("across (activation units)")
        figure.colorbar(mesh, ax=seen, label="KL from the output at A (nats)", shrink=0.85)
        seen.set_title(f"n = {found.kl.size} points")
        sign(figure, setting)
    caption = setting.caption(
        f"Plane {number} through three model-generated activations: A, the base in its own prompt, "
        "B and C from other prompts, all placed in the prompt of A. KL divergence (nats) from the "
        "output at A, as a surface (left; bars stand on the three) and a map (right; lines at 0.5, "
        f"1, 2, 4 ... nats), n = {found.kl.size} points.",
    )
    return Drawing(figure, caption)


def _azimuth(found: PlaneMap) -> float:
    """The first side from which the marks of the three activations stand apart, or the best."""
    low = np.array([found.first[0], found.second[0]])
    size = np.array([found.first[-1], found.second[-1]]) - low
    places = (found.corners - low) / size

    def apart(azimuth: float) -> float:
        turned = np.deg2rad(azimuth)
        across = places @ np.array([-np.sin(turned), np.cos(turned)])
        return float(np.diff(np.sort(across)).min())

    return max(_AZIMUTHS, key=lambda azimuth: min(apart(azimuth), _APART))


def _contours(ax: Axes, found: PlaneMap) -> None:
    top = float(np.nanmax(found.kl))
    levels = [0.5 * 2**power for power in range(8) if 0.5 * 2**power < top]
    if levels:
        ax.contour(found.first, found.second, found.kl, levels, colors="white", linewidths=0.6)


@dataclass(frozen=True, eq=False)
class TriangleMap:
    """Crossing angles over a triangle of targets.

    Attributes:
        title: What the triangle is.
        corners: Names of the first, second and third corner.
        weights: Weights of the corners, ``(point, 3)``.
        angles: In degrees, ``(point,)``; NaN where KL never crosses.
    """

    title: str
    corners: tuple[str, str, str]
    weights: Floats
    angles: Floats


def triangles(rows: Sequence[Sequence[TriangleMap]], level: float, setting: Setting) -> Drawing:
    """Draw triangles of targets, coloured by the angle at which KL crosses a level.

    Args:
        rows: Triangles by row, equally many in each; those of one column share their base.
        level: The level in nats.
        setting: The model.
    """
    with house_style():
        figure = Figure(figsize=(WIDTH, 2.35 * len(rows)), layout="constrained")
        grid = figure.subplots(len(rows), len(rows[0]), squeeze=False)
        for column in range(len(rows[0])):
            shown = np.concatenate([row[column].angles for row in rows])
            reached = shown[np.isfinite(shown)]
            low, high = (reached.min(), reached.max()) if len(reached) else (0.0, 180.0)
            for ax, row in zip(grid[:, column], rows, strict=True):
                drawn = _triangle(ax, row[column], (low, high))
            figure.colorbar(drawn, ax=list(grid[:, column]), location="bottom", shrink=0.85,
                            label="crossing angle (degrees)")  # fmt: skip
        sign(figure, setting)
    points = rows[0][0].angles.size
    never = int(sum(np.isnan(one.angles).sum() for row in rows for one in row))
    return Drawing(
        figure,
        setting.caption(
            f"Angle (degrees, sphere mode) at which KL crosses {level:g} nats, over triangles of "
            f"targets: n = {points} interpolated targets each; one base per column, whose "
            "triangles share colours and lower corners. Upper row: three random corners; lower "
            "row: one model-generated corner (top). Ring: the most sensitive target.",
            f"Never crossing, left white: {never} targets." if never else "",
        ),
    )


def _triangle(ax: Axes, one: TriangleMap, limits: tuple[float, float]) -> Collection:
    places = np.array([[0.5, np.sqrt(3) / 2], [0, 0], [1, 0]])
    x, y = (one.weights @ places).T
    mesh = Triangulation(x, y)
    undefined = np.isnan(one.angles)
    mesh.set_mask(undefined[mesh.triangles].any(axis=1))
    drawn = ax.tripcolor(
        mesh, np.nan_to_num(one.angles, nan=limits[1]), shading="gouraud", cmap="viridis",
        vmin=limits[0], vmax=limits[1], rasterized=True,
    )  # fmt: skip
    if not undefined.all():
        best = int(np.nanargmin(one.angles))
        ax.plot(x[best], y[best], "o", markersize=7, markerfacecolor="none", color="red")
    for (px, py), name, side in zip(places, one.corners, ("bottom", "top", "top"), strict=True):
        ax.annotate(name, (px, py), (0, 4 if side == "bottom" else -4), fontsize=7,
                    textcoords="offset points", ha="center", va=side)  # fmt: skip
    ax.set_title(one.title, pad=12)
    ax.set_aspect("equal")
    ax.set_xlim(-0.12, 1.12)
    ax.set_axis_off()
    return drawn
