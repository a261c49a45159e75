"""The hinge between measuring and analysing: labelled curves, and what they must hold."""

from steppe.curves.curves import mean_curves
from steppe.curves.schema import (
    CHECKED,
    COMPUTED,
    INTERPOLATED,
    check_curves,
    is_metric,
    metrics,
    points_of,
)

__all__ = [
    "CHECKED",
    "COMPUTED",
    "INTERPOLATED",
    "check_curves",
    "is_metric",
    "mean_curves",
    "metrics",
    "points_of",
]
