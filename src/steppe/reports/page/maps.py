"""Planes and triangles of activations for a run's page: a value at every place of a grid."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import xarray as xr

from steppe.core.axes import AXIS, COLUMN, CORNER, KIND, POINT, ROW, SAMPLE
from steppe.core.text import printable
from steppe.reports.page.next_tokens import token_text
from steppe.reports.page.packing import packed

# Bytes of all maps on a page, before they are written as text.
BUDGET = 400_000


def map_sets(datasets: Mapping[str, xr.Dataset], tokens: Mapping[int, str]) -> list[dict[str, Any]]:
    """Every variable over rows and columns of a plane, or over a triangle's barycentric grid.

    Where there are many samples, some.

    Args:
        datasets: By name.
        tokens: The text of each token id.
    """
    found = [
        (name, str(variable), data)
        for name, data in datasets.items()
        for variable, values in data.data_vars.items()
        if (_is_plane(values) or _is_triangle(data, values))
        and np.issubdtype(values.dtype, np.floating)
    ]
    cost = sum(2 * int(np.prod([*_sizes(data, variable)])) for _, variable, data in found)
    return [_plain(*one, tokens, max(1, BUDGET // max(1, cost))) for one in found]


def _is_plane(values: xr.DataArray) -> bool:
    return {SAMPLE, ROW, COLUMN} <= set(values.dims) <= {SAMPLE, CORNER, ROW, COLUMN}


def _is_triangle(data: xr.Dataset, values: xr.DataArray) -> bool:
    has_weights = "weights" in data and data["weights"].dims == (POINT, CORNER)
    return has_weights and {SAMPLE, POINT} <= set(values.dims) <= {SAMPLE, KIND, POINT}


def _sizes(data: xr.Dataset, variable: str) -> Sequence[int]:
    """Lengths of the dimensions but that of samples."""
    return [size for dim, size in data[variable].sizes.items() if dim != SAMPLE]


def _plain(
    name: str, variable: str, data: xr.Dataset, tokens: Mapping[int, str], at_most: int
) -> dict[str, Any]:
    shown = data.isel({SAMPLE: slice(at_most)}).load()
    values = shown[variable]
    is_plane = _is_plane(values)
    # What one of several pictures of a sample is told apart by.
    by, places = (CORNER, (ROW, COLUMN)) if is_plane else (KIND, (POINT,))
    if by not in values.dims:
        values = values.expand_dims({by: [""]})
    grid = values.transpose(SAMPLE, by, *places)
    return {
        "dataset": name,
        "name": variable,
        "label": str(values.attrs.get("long_name", variable)),
        "unit": str(values.attrs.get("unit", "1")),
        "by": "measured from" if is_plane else KIND,
        "views": [printable(str(one)) for one in grid[by].values],
        "samples": [int(one) for one in grid[SAMPLE].values],
        "of": data.sizes[SAMPLE],
        "rows": grid.sizes.get(ROW),
        "columns": grid.sizes.get(COLUMN),
        "weights": None if is_plane else np.round(shown["weights"].values, 5).tolist(),
        "x": _places(shown, "first", COLUMN),
        "y": _places(shown, "second", ROW),
        "at": _corners(shown),
        "prompts": _prompts(shown, tokens),
        "corner_prompts": _corner_prompts(shown, tokens),
        "values": packed(grid.values.reshape(*grid.shape[:2], -1)),
    }


def _prompts(data: xr.Dataset, tokens: Mapping[int, str]) -> list[str]:
    rows = data["tokens"].values.tolist() if "tokens" in data else []
    return [_text(row, tokens) for row in rows]


def _corner_prompts(data: xr.Dataset, tokens: Mapping[int, str]) -> list[list[list[str]]] | None:
    """What the corners are activations of, ``(sample, view, corner)``; empty: of no prompt."""
    if "corner_tokens" not in data:
        return None
    rows = data["corner_tokens"]
    if KIND not in rows.dims:
        rows = rows.expand_dims(KIND)
    found = rows.transpose(SAMPLE, KIND, CORNER, ...).values.tolist()
    return [[[_text(row, tokens) for row in view] for view in sample] for sample in found]


def _text(row: Sequence[int], tokens: Mapping[int, str]) -> str:
    return "".join(token_text(one, tokens) for one in row if one >= 0)


def _places(data: xr.Dataset, name: str, dim: str) -> list[list[float]] | None:
    """Where the columns or rows of each sample's grid lie; None where that is not stored."""
    if name not in data or data[name].dims != (SAMPLE, dim):
        return None
    places: list[list[float]] = np.round(data[name].values.astype(float), 5).tolist()
    return places


def _corners(data: xr.Dataset) -> list[list[list[float]]] | None:
    """Where the activations lie that span each sample's plane, ``(sample, corner, axis)``."""
    if "corners" not in data or data["corners"].dims != (SAMPLE, CORNER, AXIS):
        return None
    places: list[list[list[float]]] = np.round(data["corners"].values.astype(float), 5).tolist()
    return places
