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
# So many whole numbers are all named on the axis; others may lie too near to each other.
MOST_TICKS = 16


def along(
    table: pd.DataFrame, axis: str, values: Sequence[str], series: str = "", panels: str = ""
) -> Drawing:
    """Draw columns of a table against another one, a panel a column, a line per label.

    Args:
        table: One row for each label at each place on the axis.
        axis: The column that is the axis: numbers.
        values: The columns that are drawn; ``x_low`` and ``x_high`` are the ends of x's intervals.
        series: The column that tells lines apart; empty: one line.
        panels: The column that tells panels apart; empty: none does.

    Raises:
        InputError: There is no such column, the axis holds no numbers, or a line has two rows for
            one place.
    """
    by = [name for name in (series, panels) if name]
    check_names("columns", [axis, *values, *by], list(table.columns))
    places = pd.to_numeric(table[axis], errors="coerce")
    if places.isna().any():
        raise InputError(
            f"axis {axis}",
            got=repr(table[axis][places.isna()].iloc[0]),
            expected="a column of numbers",
            fix="choose another column",
        )
    if series and pd.api.types.is_numeric_dtype(table[series]):
        # A number alone, of a layer or a seed, says nothing in a legend.
        table = table.assign(**{series: [f"{series} {one}" for one in table[series]]})
    lines = table.assign(**{axis: places}).sort_values(axis, kind="stable")
    in_order = table if series == "kind" else lines
    labels = [*dict.fromkeys(in_order[series].map(str))] if series else [""]
    titles = [*dict.fromkeys(table[panels].map(str))] if panels else [""]
    at = sorted(set(lines[axis]))
    ticks = at if len(at) <= MOST_TICKS and all(place % 1 == 0 for place in at) else ()
    shown = []
    for title in titles:
        inside = lines[lines[panels].map(str) == title] if panels else lines
        found = _lines(inside, axis, series)
        for value in values:
            bands = [
                _band(found[label], axis, value, label, place)
                for place, label in enumerate(labels)
                if label in found
            ]
            x, y = axis.replace("_", " "), value.replace("_", " ")
            shown.append(Panel(label_of(title) if title else "", bands, x, y, ticks=ticks))
    what = f"{', '.join(values)} by {axis}" + "".join(
        f", a {name} per {column}"
        for name, column in (("line", series), ("panel", panels))
        if column
    )
    bars = " Bars: 95% intervals." if any(f"{value}_low" in table for value in values) else ""
    # Panels of one quantity are there to be compared.
    same_y = bool(panels) and len(values) == 1
    text = f"{what}.{bars}".replace("_", " ")
    return draw_bands(shown, text, columns=min(len(shown), 2), same_y=same_y)


def _lines(table: pd.DataFrame, axis: str, series: str) -> dict[str, pd.DataFrame]:
    """The rows of each line of a panel, by its label."""
    groups = table.groupby(series, sort=False) if series else [("", table)]
    found = {str(label): rows for label, rows in groups}
    for label, rows in found.items():
        twice = rows[rows[axis].duplicated()]
        if len(twice):
            raise InputError(
                f"table along {axis}",
                got=f"several rows of {label or 'the line'} at {axis} = {twice[axis].iloc[0]:g}",
                expected="one row of each line at each place",
                fix="choose columns that tell lines and panels apart, or some of the rows",
            )
    return found


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
