"""What of a dataset an output is made from, so that no more is measured than was asked for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import xarray as xr


@dataclass(frozen=True)
class Need:
    """A dataset that a table, figure or claim is made from, and what of it.

    Attributes:
        dataset: Its name; of a quantity that is derived from several ones, the quantity's.
        labels: By dimension, those that it is made from; all of a dimension that is not here. Kinds
            of target of somebody's own need not be here: they belong to every output.
        metrics: The metrics that it is made from; none: all.
    """

    dataset: str
    labels: Mapping[str, Sequence[str]] = field(default_factory=dict)
    metrics: Sequence[str] = ()

    def is_met(self, dataset: xr.Dataset, *, whole: bool) -> bool:
        """Whether a dataset holds the metrics, and all of the labels or, not ``whole``, some."""
        enough = all if whole else any
        return all(name in dataset for name in self.metrics) and all(
            enough(label in dataset[dim].values for label in labels)
            for dim, labels in self.labels.items()
        )


def as_need(need: str | Need) -> Need:
    """A need, from the name of a dataset or derived quantity."""
    return Need(need) if isinstance(need, str) else need


def wanted(dim: str, labels: Sequence[str], needs: Sequence[Need]) -> tuple[str, ...]:
    """Those labels of a dimension that some needs ask for, in their order."""
    if any(dim not in need.labels for need in needs):
        return tuple(labels)
    asked = {label for need in needs for label in need.labels[dim]}
    return tuple(label for label in labels if label in asked)
