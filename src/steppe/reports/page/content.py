"""What a run's page shows, as data that the page's script reads."""

from __future__ import annotations

import base64
import io
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd
import xarray as xr
from PIL import Image

from steppe.core.text import printable
from steppe.reports.page.curves import curve_sets
from steppe.reports.page.maps import map_sets
from steppe.reports.summary import FigureEntry, TableEntry, title_of
from steppe.reports.tables import for_reading, right_aligned

# Pixels: what a figure is shown with at most; the run folder has it at 300 dpi.
_FIGURE_WIDTH = 1400
# Of one table: some 2 MB of text.
_MOST_CELLS = 120_000


@dataclass(frozen=True)
class PageClaim:
    """A claim on the page.

    Attributes:
        row: Its row in the table of claims.
        outputs: Names of the tables and figures that show what decides it.
    """

    row: Mapping[str, Any]
    outputs: Sequence[str]


@dataclass(frozen=True, eq=False)
class Page:
    """What a page says of a run.

    Attributes:
        title: The heading.
        sentence: What was run, in a sentence.
        facts: What was run, in the order it is to be read.
        claims: Each with where to look.
        claims_note: What to know of all of them together.
        tables: The tables.
        figures: The figures; their PNG files are in ``folder``.
        folder: Where the figures are.
        datasets: Datasets of the run by name; curves are variables over ``sample`` and ``step``.
        tokens: The text of each token id that occurs in the prompts; empty: ids are shown.
    """

    title: str
    sentence: str
    facts: Mapping[str, object]
    claims: Sequence[PageClaim]
    claims_note: str
    tables: Sequence[TableEntry]
    figures: Sequence[FigureEntry]
    folder: Path
    datasets: Mapping[str, xr.Dataset] = field(default_factory=dict)
    tokens: Mapping[int, str] = field(default_factory=dict)

    def plain(self) -> dict[str, Any]:
        """All of it as plain data; texts of others hold nothing that takes effect."""
        return {
            "title": printable(self.title),
            "sentence": printable(self.sentence),
            "facts": [[printable(k), printable(str(v))] for k, v in self.facts.items()],
            "claims": [{**_cells(one.row), "outputs": [*one.outputs]} for one in self.claims],
            "claims_note": self.claims_note,
            "tables": [_table(entry) for entry in self.tables],
            "figures": [_figure(entry, self.folder) for entry in self.figures],
            "curves": curve_sets(self.datasets, self.tokens),
            "maps": map_sets(self.datasets, self.tokens),
        }


def _table(entry: TableEntry) -> dict[str, Any]:
    table = entry.table.head(max(1, _MOST_CELLS // max(1, len(entry.table.columns))))
    shown = for_reading(table)
    return {
        "name": entry.name,
        "title": title_of(entry.name),
        "caption": printable(entry.caption),
        "columns": [printable(str(column)) for column in table.columns],
        "rows": [[_cell(value) for value in row] for row in table.itertuples(index=False)],
        "shown": {
            "columns": [printable(str(column)) for column in shown.columns],
            "numeric": right_aligned(table, shown),
            "rows": [[printable(str(text)) for text in row] for row in shown.to_numpy().tolist()],
        },
        "left_out": len(entry.table) - len(table),
    }


def _figure(entry: FigureEntry, folder: Path) -> dict[str, Any]:
    return {
        "name": entry.name,
        "title": title_of(entry.name),
        "caption": printable(entry.caption),
        "image": _embedded(folder / f"{entry.name}.png"),
    }


def _embedded(path: Path) -> str:
    """A figure as a data URI: as wide as a screen shows it, in few colours."""
    with Image.open(path) as image:
        small = image.convert("RGB")
    small.thumbnail((_FIGURE_WIDTH, _FIGURE_WIDTH * 4), Image.Resampling.LANCZOS)
    buffer = io.BytesIO()
    # White stays white, no colour moves far, and it takes half the time of the default.
    small.quantize(128, method=Image.Quantize.MAXCOVERAGE).save(buffer, "png")
    return f"data:image/png;base64,{base64.b64encode(buffer.getvalue()).decode()}"


def _cells(row: Mapping[str, Any]) -> dict[str, Any]:
    return {str(name): _cell(value) for name, value in row.items()}


def _cell(value: Any) -> Any:
    """A value that JSON has: NaN and infinity are null."""
    if isinstance(value, str):
        return printable(value)
    if value is None or (not isinstance(value, bool) and pd.isna(value)):
        return None
    if hasattr(value, "item"):
        value = value.item()
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value if isinstance(value, bool | int | float) else printable(str(value))
