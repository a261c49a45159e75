"""How does a number of a table change along an axis: a layer, a seed, a threshold?"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from steppe.core.errors import InputError
from steppe.core.names import check_names
from steppe.reports.bands import Band, Panel, draw_bands
from steppe.reports.drawing import Drawing
from steppe.reports.style import KINDS, label_of

_COLORS = tuple(f"C{number}" for number in range(10))
_MARKERS = "osD^vP*X"


def along(
    table: pd.DataFrame, axis: str, values: Sequence[str], series: str = "", note: str = ""
) -> Drawing:
    """Draw columns of a table against another one, a panel a column, a line per label.

    Args:
        table: One row for each label at each place on the axis.
        axis: The column that is the axis: numbers.
        values: The columns that are drawn; ``x_low`` and ``x_high`` are the ends of x's intervals.
        series: The column that tells lines apart; empty: one line.
        note: What the caption ends with: n, model.

    Raises:
        InputError: There is no such column, the axis holds no numbers, or a line has two rows for
            one place.
    """
    check_names("columns", [axis, *values, *([series] if series else [])], list(table.columns))
    places = pd.to_numeric(table[axis], errors="coerce")
    if places.isna().any():
        raise InputError(
            f"axis {axis}",
            got=repr(table[axis][places.isna()].iloc[0]),
            expected="a column of numbers",
            fix="choose another column",
        )
    lines = table.assign(**{axis: places}).sort_values(axis, kind="stable")
    groups = lines.groupby(series, sort=False) if series else [("", lines)]
    found = {str(label): rows for label, rows in groups}
    for label, rows in found.items():
        twice = rows[rows[axis].duplicated()]
        if len(twice):
            raise InputError(
                f"table along {axis}",
                got=f"several rows of {label or 'the line'} at {axis} = {twice[axis].iloc[0]:g}",
                expected="one row of each line at each place",
                fix="choose a column that tells lines apart, or some of the rows",
            )
    labels = list(found) if series != "kind" else [*dict.fromkeys(table[series].map(str))]
    panels = [
        Panel(
            "",
            [_band(found[label], axis, value, label, place) for place, label in enumerate(labels)],
            axis.replace("_", " "),
            value.replace("_", " "),
            ticks=sorted(set(lines[axis])) if lines[axis].nunique() <= 16 else (),
        )
        for value in values
    ]
    what = f"{', '.join(values)} by {axis}" + (f", a line per {series}" if series else "")
    bars = "Bars: 95% intervals." if any(f"{value}_low" in table for value in values) else ""
    text = " ".join(part for part in (f"{what}.".replace("_", " "), bars, note) if part)
    return draw_bands(panels, text, columns=min(len(panels), 2))


def _band(rows: pd.DataFrame, axis: str, value: str, label: str, place: int) -> Band:
    ends = {end: rows.get(f"{value}_{end}") for end in ("low", "high")}
    known = all(end is not None for end in ends.values())
    low, high = (np.asarray(end, dtype=np.float64) if known else None for end in ends.values())
    return Band(
        label_of(label) if label else "",
        rows[axis].to_numpy(),
        rows[value].to_numpy(dtype=np.float64),
        KINDS[label].color if label in KINDS else _COLORS[place % len(_COLORS)],
        low,
        high,
        marker=_MARKERS[place % len(_MARKERS)],
    )
