"""Planes of activations for a run's page: a value at every place of a grid."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import xarray as xr

from steppe.core.axes import AXIS, COLUMN, CORNER, ROW, SAMPLE
from steppe.core.text import printable
from steppe.reports.page.next_tokens import token_text
from steppe.reports.page.packing import packed

# Bytes of all maps on a page, before they are written as text.
BUDGET = 400_000


def map_sets(datasets: Mapping[str, xr.Dataset], tokens: Mapping[int, str]) -> list[dict[str, Any]]:
    """Every variable over rows and columns of a grid, with some samples where they are many.

    Args:
        datasets: By name.
        tokens: The text of each token id.
    """
    found = [
        (name, str(variable), data)
        for name, data in datasets.items()
        for variable, values in data.data_vars.items()
        if {SAMPLE, ROW, COLUMN} <= set(values.dims)
        and set(values.dims) <= {SAMPLE, CORNER, ROW, COLUMN}
        and np.issubdtype(values.dtype, np.floating)
    ]
    cost = sum(2 * int(np.prod([*_sizes(data, variable)])) for _, variable, data in found)
    return [_plain(*one, tokens, max(1, BUDGET // max(1, cost))) for one in found]


def _sizes(data: xr.Dataset, variable: str) -> Sequence[int]:
    """Lengths of the dimensions but that of samples."""
    return [size for dim, size in data[variable].sizes.items() if dim != SAMPLE]


def _plain(
    name: str, variable: str, data: xr.Dataset, tokens: Mapping[int, str], at_most: int
) -> dict[str, Any]:
    shown = data.isel({SAMPLE: slice(at_most)}).load()
    values = shown[variable]
    if CORNER not in values.dims:
        values = values.expand_dims({CORNER: [""]})
    grid = values.transpose(SAMPLE, CORNER, ROW, COLUMN)
    return {
        "dataset": name,
        "name": variable,
        "label": str(values.attrs.get("long_name", variable)),
        "unit": str(values.attrs.get("unit", "1")),
        "corners": [printable(str(one)) for one in grid[CORNER].values],
        "samples": [int(one) for one in grid[SAMPLE].values],
        "of": data.sizes[SAMPLE],
        "rows": grid.sizes[ROW],
        "columns": grid.sizes[COLUMN],
        "x": _places(shown, "first", COLUMN),
        "y": _places(shown, "second", ROW),
        "at": _corners(shown),
        "prompts": _prompts(shown, tokens),
        "values": packed(grid.values.reshape(*grid.shape[:2], -1)),
    }


def _prompts(data: xr.Dataset, tokens: Mapping[int, str]) -> list[str]:
    rows = data["tokens"].values.tolist() if "tokens" in data else []
    return ["".join(token_text(one, tokens) for one in row) for row in rows]


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
