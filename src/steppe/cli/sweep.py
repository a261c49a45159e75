"""`steppe sweep`, `report` and `along`: grids of runs, reports anew, numbers along an axis."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from steppe.cli.bundle import Runs, names_of, side_by_side
from steppe.cli.studies import number_of, value_of
from steppe.cli.telling import say
from steppe.core.errors import InputError, RunFailedError
from steppe.core.lazy import load
from steppe.core.names import check_names

if TYPE_CHECKING:
    from steppe.settings.explaining import Setting

# What `steppe.run` takes beside the settings of a study; and axes that are no settings.
_WORDS = ("workers", "threads")
_AXES = ("layer",)
# Commas between values, not those within one in brackets.
_BETWEEN = re.compile(r",(?![^\[]*\])")


def sweep(
    study: Annotated[str, typer.Argument(help="A study's name, or its YAML file.")],
    grid: Annotated[
        list[str],
        typer.Option(
            help="One axis (repeatable): layer=1,4,8 or seed=0,1,2; kinds=[real,random],[real]."
        ),
    ],
    out: Annotated[Path, typer.Option(help="The folder that holds one run folder per cell.")],
    setting: Annotated[
        list[str] | None,
        typer.Option(help="Any setting that all cells share (repeatable): samples=50."),
    ] = None,
) -> None:
    """Run a study for every combination of some settings: models, revisions, layers, seeds ...

    Each cell is a run folder of its own. The same command goes on where it stopped; a cell that
    fails is told, and the others go on. `steppe.open_runs("OUT/*")` opens all of them as one
    dataset with the axes as coordinates.

    [bold]steppe sweep janiak2024 --grid seed=0,1,2 --out runs/seeds[/bold]

    [bold]steppe sweep janiak2024 --grid model=gpt2,gpt2-medium --grid layer=0,4 --out r[/bold]
    """
    asked: dict[str, Any] = {}
    name = study
    if study.endswith((".yaml", ".yml")):
        asked = load("steppe.settings.configuration:read_config")(Path(study))
        name = str(asked.pop("study"))
    known = {one.name: one for one in load("steppe.settings.explaining:explain")(name)}
    for key, text in map(_split, setting or []):
        asked[key] = _value("--setting", key, text, known)
    axes = {}
    for key, text in map(_split, grid):
        values = [text] if Path(text).exists() else _BETWEEN.split(text)
        axes[key] = [_value("--grid", key, one, known) for one in values]
    done = load("steppe.execution.sweep:sweep")(name, axes, out=out, **asked)
    for run in done.runs:
        say(f"done: {run.path}")
    if done.failed:
        raise RunFailedError(
            f"sweep {out}",
            got="; ".join(f"{cell}: {' '.join(why.split())}" for cell, why in done.failed.items()),
            expected="a run for every cell",
            fix="mend what is named, and give the same command again: finished cells are kept",
        )


def report(
    runs: Runs,
    out: Annotated[
        Path | None, typer.Option(help="A page of the runs side by side; nothing else is written.")
    ] = None,
) -> None:
    """Write the tables, figures, claims, summary and page of finished runs anew, without the model.

    Nothing is written where results, settings, steppe and all packages are those that the report
    was made with, and its files are as they were written.

    With --out one page that shows them side by side: what each ran, the verdicts on each claim.
    """
    if out is not None:
        page = side_by_side(names_of(runs), {}).encode()
        load("steppe.store.writing:write_atomically")(out, page)
        say(f"done: {out}")
        return
    for run in runs:
        is_written = load("steppe.execution.outcome:report_if_changed")(run)
        say(f"done: {run}" if is_written else f"unchanged: {run}")


def along(
    runs: Annotated[list[Path], typer.Argument(help="Run folders, those of a sweep for instance.")],
    table: Annotated[str, typer.Option(help="A table of each run, for instance table_1.")],
    value: Annotated[list[str], typer.Option(help="Its column that is drawn (repeatable): ks.")],
    out: Annotated[Path, typer.Option(help="The folder that table and figure are written to.")],
    axis: Annotated[
        str, typer.Option(help="A setting in which the runs differ, or a column of the table.")
    ] = "layer",
    series: Annotated[str, typer.Option(help="The column that tells lines apart.")] = "kind",
    panels: Annotated[str, typer.Option(help="A column that tells panels apart: context.")] = "",
    where: Annotated[
        list[str] | None,
        typer.Option(help="Only such rows (repeatable): mode=absolute, kind=real,random."),
    ] = None,
) -> None:
    """Draw numbers of a table along what runs differ in: layers, seeds; or along a column of one.

    [bold]steppe along runs/layers/* --table table_1 --value ks --out along[/bold]
    """
    asked = dict(_split(one, "--where", "kind=real,random") for one in where or [])
    lines = load("steppe.execution.along:Lines")(table, value, axis, series, asked, panels)
    for path in load("steppe.execution.along:along")(runs, lines, out=out):
        say(f"wrote: {path}")


def _split(
    text: str, option: str = "--grid or --setting", example: str = "seed=0,1,2"
) -> tuple[str, str]:
    key, equals, value = text.partition("=")
    if not (equals and key and value):
        raise InputError(
            option,
            got=repr(text),
            expected=f"key=value, for instance {example}",
            fix="write the key, an equals sign and its values without blanks",
        )
    return key.replace("-", "_"), value


def _value(option: str, key: str, text: str, known: Mapping[str, Setting]) -> Any:
    """A setting's value, read as the option of its name reads it; ``[a,b]`` is several."""
    if key in known:
        setting = known[key]
        return value_of(setting, [text.strip("[]")] if setting.many else text.strip())
    further = _WORDS if option == "--setting" else _AXES
    check_names(f"{option} {key}={text}", [key], [*further, *known])
    return number_of(text.strip())
