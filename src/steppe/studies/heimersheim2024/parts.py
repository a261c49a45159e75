"""What is measured: all parts, in the order in which they are."""

from __future__ import annotations

from steppe.studies.heimersheim2024.ascent import ASCENT
from steppe.studies.heimersheim2024.latents import ARTIFICIAL, ENCODING
from steppe.studies.heimersheim2024.optima import OPTIMA, PLANES, TRIANGLES
from steppe.studies.heimersheim2024.sensitivity import (
    CONTROLS,
    DIRECTIONS,
    EXAMPLES,
    FEATURES,
    PLATEAUS,
    further,
)
from steppe.studies.heimersheim2024.settings import Settings
from steppe.study import Part, WholePart

# Cheap ones first: a figure of a plane can be looked at early.
FIRST = (PLANES, TRIANGLES, EXAMPLES, PLATEAUS, DIRECTIONS)
THEN = (OPTIMA, FEATURES, ARTIFICIAL, CONTROLS, ASCENT)


def parts(settings: Settings) -> list[Part]:
    """All of them, and the directions of somebody's own."""
    return [*FIRST, *further(settings), *THEN]


def wholes(settings: Settings) -> list[WholePart]:  # noqa: ARG001
    """How activations are encoded."""
    return [ENCODING]
