"""The hinge between measuring and analysing: labelled curves, and what they must hold."""

from steppe.curves.curves import mean_curves
from steppe.curves.schema import check_curves, metrics

__all__ = ["check_curves", "mean_curves", "metrics"]
