"""Curves of a run for its page: means and bands of all samples, and the curves of some."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr
from matplotlib.colors import to_hex
from numpy.typing import NDArray

from steppe.core.axes import KIND, SAMPLE, STEP
from steppe.core.text import printable
from steppe.curves import metrics
from steppe.reports.page.next_tokens import NEXT_TOKENS, next_tokens, token_text
from steppe.reports.page.packing import floats, packed, undefined_is_nan
from steppe.reports.style import Dash, label_of, style_of
from steppe.statistics import max_slope_step

TOKENS = "tokens"
# Bytes of all single curves on a page, before they are written as text.
BUDGET = 2_400_000
# Samples whose numbers are in the histograms.
MOST = 2_000
# The metrics that are looked at first.
_FIRST = ("l2", "kl")


@dataclass(frozen=True)
class _Curves:
    """The variables of a dataset that are curves, with one order of dimensions."""

    dataset: xr.Dataset
    names: tuple[str, ...]
    facets: tuple[str, ...]

    @classmethod
    def of(cls, dataset: xr.Dataset) -> list[_Curves]:
        """Those with the same dimensions together."""
        groups: dict[tuple[str, ...], list[str]] = {}
        for name in metrics(dataset):
            values = dataset[name]
            if np.issubdtype(values.dtype, np.floating):
                others = [str(dim) for dim in values.dims if dim not in (SAMPLE, STEP)]
                # Kinds are told apart by colour: they come last, next to the samples.
                facets = tuple(sorted(others, key=lambda dim: dim == KIND))
                groups.setdefault(facets, []).append(name)
        return [
            cls(dataset, tuple(dict.fromkeys([*(n for n in _FIRST if n in names), *names])), facets)
            for facets, names in groups.items()
        ]

    @property
    def cost(self) -> int:
        """Bytes that the curves of one sample take."""
        sizes = [self.dataset.sizes[dim] for dim in (*self.facets, STEP)]
        return 2 * len(self.names) * int(np.prod(sizes))

    def rows(self, name: str, samples: NDArray[np.int64]) -> NDArray[np.float64]:
        """``(*facets, sample, step)``."""
        order = (*self.facets, SAMPLE, STEP)
        chosen = self.dataset[name].isel({SAMPLE: samples}).transpose(*order)
        return np.asarray(chosen.values, dtype=np.float64)


def curve_sets(
    datasets: Mapping[str, xr.Dataset], tokens: Mapping[int, str]
) -> list[dict[str, Any]]:
    """The curves of every dataset that has some.

    Args:
        datasets: By name.
        tokens: The text of each token id; an id that is not there is shown as a number.
    """
    groups = [(name, one) for name, data in datasets.items() for one in _Curves.of(data)]
    cost = sum(one.cost for _, one in groups)
    said = {
        name.removesuffix(NEXT_TOKENS): data
        for name, data in datasets.items()
        if name.endswith(NEXT_TOKENS)
    }
    found = []
    for name, one in groups:
        first = said[name].sizes[SAMPLE] if name in said else 0
        made = _plain(name, one, tokens, (max(1, BUDGET // max(1, cost)), first))
        if name in said:
            numbers = [card["sample"] for card in made["cards"]]
            made["next"] = next_tokens(said[name], one.facets, numbers, tokens)
        found.append(made)
    return found


def _plain(
    name: str, curves: _Curves, tokens: Mapping[int, str], keep: tuple[int, int]
) -> dict[str, Any]:
    """One dataset; ``keep``: of how many samples at most, and of which first ones in any case."""
    data = curves.dataset
    at_most, first = keep
    counted = spread(data.sizes[SAMPLE], MOST, first)
    places = spread(len(counted), at_most, first)
    return {
        "dataset": name,
        "facets": [
            {"name": dim, "labels": [_label(dim, one) for one in _labels(data, dim)]}
            for dim in curves.facets
        ],
        "styles": [
            {"color": to_hex(style_of(one).color), "dash": _dash(style_of(one).dash)}
            for one in (_labels(data, KIND) if KIND in curves.facets else ["curves"])
        ],
        "steps": data.sizes[STEP],
        "positions": _positions(data),
        "samples": data.sizes[SAMPLE],
        "counted": _numbers(data, counted),
        "shown": places.tolist(),
        "metrics": [_metric(curves, one, counted, places) for one in curves.names],
        "cards": _cards(data, counted[places], tokens),
    }


def spread(count: int, at_most: int, first: int = 0) -> NDArray[np.int64]:
    """Indices of some samples: the first ones, and others evenly spread; all where they are few."""
    first, at_most = min(first, count, at_most), min(count, at_most)
    rest = np.linspace(first, count - 1, at_most - first).round().astype(np.int64)
    return np.unique(np.concatenate([np.arange(first), rest]))


def _metric(
    curves: _Curves, name: str, counted: NDArray[np.int64], places: NDArray[np.int64]
) -> dict[str, Any]:
    """Means, bands and numbers of the counted samples, and the curves of some places of these."""
    values = curves.dataset[name]
    all_rows = curves.rows(name, counted)
    with undefined_is_nan():
        # numpy's own takes one series at a time where some may be undefined.
        quantile = np.nanquantile if np.isnan(all_rows).any() else np.quantile
        low, high = quantile(all_rows, (0.1, 0.9), axis=-2)
        mean = np.nanmean(all_rows, axis=-2)
        slope = max_slope_step(np.abs(all_rows - all_rows[..., :1]))
    return {
        "name": name,
        "unit": str(values.attrs.get("unit", "1")),
        "label": str(values.attrs.get("long_name", name)),
        "mean": floats(mean),
        "low": floats(low),
        "high": floats(high),
        "numbers": [
            {"name": "step of the largest slope", "values": floats(slope)},
            {"name": "value at the last step", "values": floats(all_rows[..., -1])},
        ],
        "curves": packed(all_rows[..., places, :]),
    }


def _positions(data: xr.Dataset) -> dict[str, Any]:
    """Where the steps of each path lie, by the path's name."""
    ending = "_position"
    return {
        str(name).removesuffix(ending): {
            "unit": str(one.attrs.get("unit", "position")),
            "values": np.round(np.asarray(one.values, dtype=float), 6).tolist(),
        }
        for name, one in data.variables.items()
        if str(name).endswith(ending) and one.dims == (STEP,)
    }


def _cards(
    data: xr.Dataset, shown: NDArray[np.int64], tokens: Mapping[int, str]
) -> list[dict[str, Any]]:
    """What is known of each shown sample: its prompt, and one number a name."""
    prompts = data[TOKENS].isel({SAMPLE: shown}).values.tolist() if TOKENS in data else []
    facts: dict[str, list[Any]] = {}
    for name, values in data.data_vars.items():
        if SAMPLE not in values.dims or values.dtype.kind not in "fiub":
            continue
        others = [str(dim) for dim in values.dims if dim != SAMPLE]
        if others not in ([], [KIND]):
            continue
        chosen = values.isel({SAMPLE: shown}).transpose(SAMPLE, *others).values
        for place, kind in enumerate(_labels(data, KIND) if others else [""]):
            column = chosen[:, place] if others else chosen
            title = f"{name} ({label_of(kind)})" if kind else str(name)
            facts[title.replace("_", " ")] = [_round(value) for value in column]
    return [
        {
            "sample": number,
            "tokens": [token_text(one, tokens) for one in prompts[row]] if prompts else [],
            "facts": [[title, values[row]] for title, values in facts.items()],
        }
        for row, number in enumerate(_numbers(data, shown))
    ]


def _round(value: Any) -> float | None:
    return float(f"{float(value):.5g}") if np.isfinite(value) else None


def _numbers(data: xr.Dataset, samples: NDArray[np.int64]) -> list[int]:
    """The samples' numbers in the run."""
    known = data[SAMPLE].values if SAMPLE in data.coords else np.arange(data.sizes[SAMPLE])
    return [int(one) for one in known[samples]]


def _labels(data: xr.Dataset, dim: str) -> Sequence[str]:
    return [str(one) for one in data[dim].values]


def _label(dim: str, value: str) -> str:
    return printable(label_of(value) if dim == KIND else value)


def _dash(dash: Dash) -> str:
    """A line style in plotly's words."""
    names = {"solid": "solid", "dashed": "dash", "dotted": "dot", "dashdot": "dashdot"}
    if isinstance(dash, str):
        return names[dash]
    return ",".join(f"{2 * length:g}px" for length in dash[1])
