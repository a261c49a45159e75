"""Planes through three activations, coloured by how near the output is to each of theirs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from steppe.reports.drawing import Drawing, Setting, sign
from steppe.reports.style import WIDTH, house_style

Floats = NDArray[np.floating]


@dataclass(frozen=True, eq=False)
class Slice:
    """One plane: ``A + a (B - A) + b (C - X)``, X the foot of C on the line through A and B.

    Attributes:
        coordinates: The values of a, and of b, ``(point,)``.
        distances: Of the output from those at A, B and C, ``(3, b, a)``.
        third: The coordinate a of C; that of b is 1.
    """

    coordinates: Floats
    distances: Floats
    third: float


def slices(found: Sequence[Slice], what: str, setting: Setting) -> Drawing:
    """Draw planes side by side: red is near A's output, green near B's, blue near C's.

    Args:
        found: The planes.
        what: The caption's first words.
        setting: The model.
    """
    width = WIDTH / max(len(found), 2)
    with house_style():
        figure = Figure(figsize=(width * len(found), width + 0.3), layout="constrained")
        axes = figure.subplots(1, len(found), squeeze=False)[0]
        for number, (ax, one) in enumerate(zip(axes, found, strict=True), start=1):
            low, high = float(one.coordinates[0]), float(one.coordinates[-1])
            top = np.nanmax(one.distances, axis=(1, 2), keepdims=True)
            near = 1 - one.distances / np.where(top > 0, top, 1)
            image = np.moveaxis(near, 0, -1).clip(0, 1)
            ax.imshow(image, origin="lower", extent=(low, high, low, high), rasterized=True)
            for name, (a, b) in zip("ABC", [(0, 0), (1, 0), (one.third, 1)], strict=True):
                ax.plot(a, b, "o", color="white", markeredgecolor="black", markersize=4)
                ax.annotate(name, (a, b), (4, 3), textcoords="offset points", color="white")
            ax.set_title(f"plane {number}, n = {near[0].size} points")
            ax.set_xlabel("a (A to B)")
            ax.set_ylabel("b (towards C)")
        sign(figure, setting)
    return Drawing(figure, setting.caption(what))
