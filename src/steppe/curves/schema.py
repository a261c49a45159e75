"""What must a curves dataset hold? Every fault is reported at once."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import xarray as xr

from steppe.core.axes import CONTEXT, KIND, MODE, SAMPLE, STEP
from steppe.core.errors import InputError

# What may stand beside the curves, and over which dimensions.
BESIDE: dict[str, set[str]] = {
    "target_distance": {KIND, SAMPLE},
    "base_norm": {SAMPLE},
    "tokens": {SAMPLE, "position"},
}


# How each point of a metric's curves was come by, in a variable of its own beside it.
POINTS = "_points"
INTERPOLATED, COMPUTED, CHECKED = 0, 1, 2


def points_of(metric: str) -> str:
    """The variable that says of each point of a metric's curves how it was come by.

    0: on the spline between its neighbours; 1: computed; 2: computed to check the spline.
    """
    return f"{metric}{POINTS}"


def is_metric(name: str, variable: xr.DataArray) -> bool:
    """Whether a variable holds curves: it has steps, and does not say how others were come by."""
    return STEP in variable.dims and not name.endswith(POINTS)


def metrics(dataset: xr.Dataset) -> list[str]:
    """Names of the variables that hold curves: those with a step dimension and one of samples."""
    return [
        str(name)
        for name, variable in dataset.data_vars.items()
        if SAMPLE in variable.dims and is_metric(str(name), variable)
    ]


def check_curves(dataset: xr.Dataset, place: str = "curves") -> xr.Dataset:
    """Return ``dataset`` when it is a curves or a plateau dataset.

    It is one when it has labelled kinds (and labelled modes, or contexts for plateaus), at least
    one floating-point metric over (kind, sample, step and mode or context) with a unit and a
    name, and every known variable beside them over its own dimensions.

    Args:
        dataset: What is to be checked.
        place: What the error calls it, for instance a path.

    Raises:
        InputError: Something is missing or wrong; all faults are listed.
    """
    faults = [*_faults_of_labels(dataset), *_faults_of_metrics(dataset), *_faults_beside(dataset)]
    if faults:
        raise InputError(
            place,
            got="; ".join(faults),
            expected="metrics over kind, mode (or context), sample and step, with units",
            fix="name, label and give units as the datasets that steppe writes do",
        )
    return dataset


def _faults_of_labels(dataset: xr.Dataset) -> Iterator[str]:
    missing = [dim for dim in (KIND, SAMPLE, STEP) if dim not in dataset.dims]
    if missing:
        yield f"no dimension {', '.join(missing)}"
    for dim in (KIND, MODE, CONTEXT):
        if dim not in dataset.dims:
            continue
        if dim not in dataset.coords:
            yield f"dimension {dim} without labels"
        elif len(set(map(str, dataset[dim].values))) < dataset.sizes[dim]:
            yield f"a label of {dim} twice: {', '.join(map(str, dataset[dim].values))}"
    if STEP in dataset.dims and dataset.sizes[STEP] < 2:
        yield f"{dataset.sizes[STEP]} step"


def _faults_of_metrics(dataset: xr.Dataset) -> Iterator[str]:
    names = metrics(dataset)
    if not names:
        yield "no metric over sample and step"
    for name in names:
        variable = dataset[name]
        groups = set(map(str, variable.dims)) - {KIND, SAMPLE, STEP}
        if KIND not in variable.dims or not (groups == {MODE} or groups == {CONTEXT}):
            yield f"{name} over {', '.join(map(str, variable.dims))}"
        if not np.issubdtype(variable.dtype, np.floating):
            yield f"{name} of type {variable.dtype}"
        lacking = [key for key in ("unit", "long_name") if key not in variable.attrs]
        if lacking:
            yield f"{name} without {' and '.join(lacking)}"


def _faults_beside(dataset: xr.Dataset) -> Iterator[str]:
    for name, dims in BESIDE.items():
        if name in dataset.data_vars and not set(map(str, dataset[name].dims)) <= dims | {CONTEXT}:
            found = ", ".join(map(str, dataset[name].dims))
            yield f"{name} over {found}, not {', '.join(sorted(dims))}"
