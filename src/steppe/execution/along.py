"""A table of several runs as one, and its numbers along what the runs differ in."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pandas as pd

from steppe.core.errors import InputError
from steppe.core.sites import Site
from steppe.execution.calls import axes_of, several_runs
from steppe.reports import along as draw_along
from steppe.reports import n_of, save_drawing, write_table
from steppe.store import Run

LAYER = "layer"


def open_tables(paths: str | Path | Sequence[str | Path], table: str) -> pd.DataFrame:
    """One table of several runs of one study, with what tells the runs apart as columns.

    Args:
        paths: Run folders, or a pattern such as ``runs/sweep/*``.
        table: The table, for instance ``table_1``.

    Returns:
        The rows of all runs, those of a run together: first a column for each setting in which the
        runs differ (`open_runs`), and ``layer`` where they differ in their site's layer alone.

    Raises:
        InputError: There is no run, the runs are of different studies, or one lacks the table.
    """
    runs = several_runs(paths)
    axes: dict[str, list[Any]] = {}
    if len(runs) > 1:
        axes = axes_of(runs)
    sites = [Site.parse(site) for site in axes.get("site", ())]
    if sites and len({(site.point, site.position) for site in sites}) == 1:
        axes = {LAYER: [site.layer for site in sites]} | axes
    joined = []
    for index, run in enumerate(runs):
        found = run.table(table)
        clash = {name: f"setting_{name}" for name in axes if name in found}
        mine = {clash.get(name, name): values[index] for name, values in axes.items()}
        joined.append(pd.concat([pd.DataFrame(mine, found.index), found], axis=1))
    return pd.concat(joined, ignore_index=True)


@dataclass(frozen=True)
class Lines:
    """What of a table is drawn along what.

    Attributes:
        table: The runs' table, for instance ``table_1``.
        values: Its columns that are drawn, for instance ``ks``.
        axis: What they are drawn against: a setting in which the runs differ, or a column.
        series: The column that tells lines apart.
        where: Only rows that have this text in this column; several texts stand apart by commas.
        panels: The column that tells panels apart; empty: a panel per value alone.
    """

    table: str
    values: Sequence[str]
    axis: str = LAYER
    series: str = "kind"
    where: Mapping[str, str] = field(default_factory=dict)
    panels: str = ""


def along(paths: str | Path | Sequence[str | Path], lines: Lines, *, out: str | Path) -> list[Path]:
    """Write numbers of a table along an axis: as one table of all runs, and as a figure.

    Args:
        paths: Run folders, or a pattern such as ``runs/sweep/*``; one run for an axis that is a
            column of its table, as a threshold.
        lines: What is drawn.
        out: The folder of the files, which are called after the table and the axis.

    Returns:
        The files: CSV, Markdown and LaTeX, PDF, PNG and the figure's caption.

    Raises:
        InputError: As `open_tables`, a column that is not there, or rows that share a place.
    """
    rows = open_tables(paths, lines.table)
    for column, texts in lines.where.items():
        if column not in rows or not (chosen := _is_one_of(rows[column], texts)).any():
            raise InputError(
                f"rows where {column} is {texts}",
                got="none",
                expected=f"a column with such rows, of {', '.join(rows.columns)}",
                fix="look at the table with `steppe show RUN --table`",
            )
        rows = rows[chosen]
    series = lines.series if lines.series in rows else ""
    drawing = draw_along(rows, lines.axis, lines.values, series, lines.panels)
    note = _note(several_runs(paths), lines, rows)
    drawing = replace(drawing, caption=f"{drawing.caption} {note}")
    folder, name = Path(out), f"{lines.table}_by_{lines.axis}"
    folder.mkdir(parents=True, exist_ok=True)
    files = write_table(folder, name, rows, drawing.caption)
    return [*files, *save_drawing(folder, name, drawing)]


def _is_one_of(values: pd.Series, texts: str) -> pd.Series:
    """Which values are among these texts; numbers as numbers, so that 20 is 20.0."""
    found = texts.split(",")
    if pd.api.types.is_numeric_dtype(values) and not pd.api.types.is_bool_dtype(values):
        return values.isin(pd.to_numeric(pd.Series(found), errors="coerce").dropna())
    return values.map(str).isin(found)


def _note(runs: Sequence[Run], lines: Lines, rows: pd.DataFrame) -> str:
    """Which rows of which runs these are."""
    chosen = "; ".join(f"{column}: {texts}" for column, texts in lines.where.items())
    models = ", ".join(dict.fromkeys(str(run.config["resolved"]["model"]) for run in runs))
    table = f"Table {lines.table}{f' ({chosen})' if chosen else ''} of {len(runs)} runs."
    n = [f"{n_of(int(count) for count in rows['n'])}."] if "n" in rows else []
    return " ".join([table, *n, f"Model: {models}."])
