"""Statistics of labelled curves: labels, units and the reading stay with the numbers."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from steppe.core.axes import MODE, STEP
from steppe.core.errors import InputError
from steppe.core.readings import check_reading
from steppe.statistics.catalogue import Statistic, find_statistic, statistic_of

ABSOLUTE = "absolute"


def steps_of(
    curves: xr.DataArray,
    statistic: str | Callable[..., NDArray[Any]],
    *,
    reading: str = "text",
    end: xr.DataArray | None = None,
    **settings: float,
) -> xr.DataArray:
    """Apply a statistic to every curve of a labelled array.

    Args:
        curves: Dimensions (..., step), one metric.
        statistic: Name of a statistic, or a function from values ``(..., step)`` to ``(...)``.
        reading: ``text`` or ``code``; for those that have both.
        end: Number of points of each curve that count; any of the curves' dimensions but ``step``.
        settings: Further arguments of the statistic, for instance ``threshold=20``.

    Returns:
        float64, the curves' dimensions but ``step``, with their labels; attributes ``unit``,
        ``long_name``, ``short_name``, ``statistic``, ``reading``, ``metric`` and the settings.

    Raises:
        InputError: Unknown statistic or reading, no step dimension, settings that the statistic
            lacks or does not know, or an ``end`` for one that looks at whole curves.
    """
    found = find_statistic(statistic) if isinstance(statistic, str) else statistic_of(statistic)
    if not isinstance(curves, xr.DataArray):
        raise InputError(
            "curves",
            got=type(curves).__name__,
            expected="a labelled array (xarray.DataArray) with a dimension 'step'",
            fix="give one metric of a curves dataset, for instance curves['l2'], or an array as "
            "xarray.DataArray(values, dims=('sample', 'step'))",
        )
    if STEP not in curves.dims:
        raise InputError(
            f"curves {curves.name or ''}".strip(),
            got=f"dimensions {', '.join(map(str, curves.dims)) or 'none'}",
            expected="a dimension 'step'",
            fix="give one metric of a curves dataset, for instance curves['l2']",
        )
    arguments: dict[str, Any] = {**settings}
    if "reading" in inspect.signature(found.function).parameters:
        arguments["reading"] = check_reading(reading)
    if end is not None:
        if not found.takes_end:
            raise InputError(
                f"statistic {found.name}",
                got="curves to be cut (end)",
                expected="whole curves",
                fix="leave `end` out; the authors do not cut curves for this statistic",
            )
        others = curves.isel({STEP: 0}, drop=True)
        arguments["end"] = end.broadcast_like(others).transpose(*others.dims).values
    _check_arguments(found, arguments)
    result: xr.DataArray = xr.apply_ufunc(
        found.function, curves, input_core_dims=[[STEP]], kwargs=arguments, keep_attrs=False
    )
    attributes = {
        "unit": found.unit,
        "long_name": found.label,
        "short_name": found.short,
        "statistic": found.name,
        "reading": arguments.get("reading", ""),
        "metric": "" if curves.name is None else str(curves.name),
        **settings,
    }
    result.name = f"{found.name}_step" if found.unit == "step" else found.name
    result.attrs = attributes
    return result


def _check_arguments(statistic: Statistic, arguments: Mapping[str, Any]) -> None:
    known = inspect.signature(statistic.function)
    try:
        known.bind(None, **arguments)
    except TypeError as fault:
        own = [name for name in list(known.parameters)[1:] if name not in {"reading", "end"}]
        raise InputError(
            f"statistic {statistic.name}",
            got=str(fault),
            expected=f"its own settings: {', '.join(own) or 'none'}",
            fix="a threshold is a number in the curves' unit; there is none for every model",
        ) from fault


def ends_at_target(curves: xr.DataArray, target_step: xr.DataArray) -> xr.DataArray:
    """Number of points that count when absolute curves are cut at their target.

    The authors' code does so for the max-slope and plateau steps; relative curves stay whole.

    Args:
        curves: Dimensions (..., step), with the coordinate ``mode`` if there are several.
        target_step: Steps to the target along an absolute path, any of the curves' dimensions.

    Returns:
        int64 with the dimensions of ``target_step``, and ``mode`` where the curves have it.
    """
    whole = curves.sizes[STEP]
    cut = target_step.clip(max=whole).astype(np.int64)
    if MODE not in curves.dims:
        return cut
    is_absolute = xr.DataArray(
        curves[MODE].values == ABSOLUTE, dims=MODE, coords={MODE: curves[MODE]}
    )
    return cut.where(is_absolute, whole).astype(np.int64)
