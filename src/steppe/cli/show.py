"""`steppe show`: a run in one screen, its tables by name, or all of it as JSON."""

from __future__ import annotations

import json
import math
import shlex
from collections.abc import Iterator
from typing import Annotated, Any

import typer

from steppe.cli import options
from steppe.cli.telling import say
from steppe.core.errors import InputError
from steppe.core.lazy import load


def show(
    run: options.RunPath,
    table: Annotated[
        list[str] | None, typer.Option(help="This table (repeatable), for instance table_1.")
    ] = None,
    every: Annotated[bool, typer.Option("--all", help="Every table.")] = False,
    provenance: Annotated[
        bool, typer.Option("--provenance", help="Where the numbers came from, instead of tables.")
    ] = False,
    as_json: options.Json = False,
) -> None:
    """Print a run in one screen: what was run, the verdict on each claim, the names of its tables.

    With --table or --all tables: our numbers, their intervals, and the published ones beside them.
    With --json all tables, or those named, and the configuration.

    With --provenance: each start of the run, with versions, commit, machine, device, threads, the
    hashes of model, SAE and prompts, the seed, the wall time and the exact command.
    """
    opened = load("steppe.store:open_run")(run)
    if provenance:
        _print_provenance(opened.provenance, as_json)
        return
    tables = _chosen(opened, table or [])
    if as_json:
        content = {name: _rows(frame) for name, frame in tables.items()}
        say(json.dumps({"config": opened.config, "tables": content}, indent=2, allow_nan=False))
        return
    if not table and not every:
        overview = load("steppe.reports.overview:overview")
        say(overview(opened.config["resolved"], tables, shlex.quote(str(run))))
        return
    render = load("steppe.reports:terminal_table")
    for name, frame in tables.items():
        say(render(frame, title=name))
        if "verdict_holm" in frame.columns:
            say(load("steppe.study.verdicts:multiplicity_text")(frame))


def _chosen(run: Any, names: list[str]) -> dict[str, Any]:
    tables: dict[str, Any] = run.tables
    if not tables:
        raise InputError(
            f"run {run.path}",
            got=f"no tables; datasets so far: {', '.join(run.datasets()) or 'none'}",
            expected="a finished run",
            fix="repeat the run's command: it goes on where it stopped and writes the tables last",
        )
    for name in names:
        if name not in tables:
            raise InputError(
                f"run {run.path}",
                got=f"no table {name!r}",
                expected=", ".join(tables) or "none yet: the run is not finished",
                fix="`steppe show RUN` names all of them",
            )
    return {name: tables[name] for name in names} if names else tables


def _print_provenance(records: list[dict[str, Any]], as_json: bool) -> None:
    if as_json:
        say(json.dumps(records, indent=2))
        return
    for number, record in enumerate(records, start=1):
        say(f"start {number} of {len(records)}")
        for key, value in _flat({"ending": "not recorded: running, or killed", **record}):
            say(f"  {key:<30}{value}")


def _flat(record: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in record.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value


def _rows(frame: Any) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = frame.to_dict(orient="records")
    return [{key: _plain(value) for key, value in row.items()} for row in rows]


def _plain(value: Any) -> Any:
    """JSON has no NaN; an undefined number is null."""
    return None if isinstance(value, float) and math.isnan(value) else value
