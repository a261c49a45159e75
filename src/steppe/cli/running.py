"""How a request becomes a finished run folder, and what is said about it."""

from __future__ import annotations

import json
import os
import shlex
import sys
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import typer

from steppe.cli import options
from steppe.cli.telling import say
from steppe.core.errors import InputError
from steppe.core.lazy import load


@dataclass(frozen=True)
class How:
    """How a study is to be run, beside what it measures; every field is an option.

    Attributes:
        out: The run folder; None: ``runs/<study>-<model>``.
        overwrite: Whether a run that is there is removed first.
        workers: Who computes, as on the command line.
        shard: Which part, as on the command line.
        threads: CPU threads of each worker.
        memory_budget: Memory that each worker may use beyond the weights, as on the command line.
        explain: Whether to say what would be measured and taken, and run nothing.
        explain_time: Whether to load the model, too, and say how long it would take.
        as_json: Whether to say that as JSON.
    """

    out: options.Out = None
    overwrite: options.Overwrite = False
    workers: options.Workers = "serial"
    shard: options.Shard = None
    threads: options.Threads = None
    memory_budget: options.MemoryBudget = None
    explain: options.Explain = False
    explain_time: options.ExplainTime = False
    as_json: options.ExplainJson = False


def run_study(asked: Mapping[str, Any], place: str, how: How) -> None:
    """Run the study that ``asked`` describes and say where its results are.

    Args:
        asked: Settings as asked, with the key ``study``.
        place: Where the request came from, for errors.
        how: How to run it.
    """
    settings = load("steppe.settings.configuration:settings_of")(asked, place)
    if how.explain or how.explain_time:
        _explain(settings, how)
        return
    folder = (
        how.out.expanduser()
        if how.out
        else load("steppe.settings.configuration:default_folder")(settings)
    )
    load("steppe.store.places:check_writable")(folder)
    workers_of = load("steppe.execution.workers:workers_of")
    workers = workers_of(how.workers, how.shard, how.threads, os.environ)
    budget = load("steppe.execution.workers:memory_budget_of")(how.memory_budget)
    workers = replace(workers, memory_budget=budget)
    if how.overwrite:
        _confirm_overwriting(folder)
    most = "at most " if getattr(settings, "until", "samples") == "decided" else ""
    count = "" if "samples" in settings.hang_on_weights else f": {most}{settings.samples} samples"
    say(f"{settings.study} on {settings.model}{count} -> {folder}")
    opening = load("steppe.store:Opening")(folder, overwrite=how.overwrite)
    outcome = load("steppe.execution.run:run_study")(settings, opening, workers)
    if not outcome.reported:
        say(f"{workers.part} is done: {outcome.left} shards of {folder} are left to others")
        say("  the process that finishes the last shard writes the report;")
        say("  should one be lost, the same command without --shard does the rest")
        return
    say(f"done: {folder}")
    say(f"  read      {folder / 'summary.md'}")
    say(f"  explore   {folder / 'report.html'}")
    # A run of one figure alone has no tables, and one of a table no figures.
    for made in ("tables", "figures"):
        if (folder / made).is_dir():
            say(f"  {made:<9} {folder / made}")
    say(f"  again     steppe show {shlex.quote(str(folder))}")


def _explain(settings: Any, how: How) -> None:
    with load("steppe.execution.process_state:process_state_kept")():
        if how.threads is not None:
            load("torch:set_num_threads")(how.threads)
        entry = load("steppe.settings.catalogue:find_study")(settings.study)
        found = entry.estimate(settings, timed=how.explain_time)
    say(json.dumps(found.as_dict(), indent=2) if how.as_json else str(found))


def _confirm_overwriting(folder: Path) -> None:
    """Before finished work is removed, have the folder's name typed; a script is not asked."""
    load("steppe.store.overwriting:check_removable")(folder)
    finished = load("steppe.store.overwriting:holds_finished_work")(folder)
    if not finished or not sys.stdin.isatty():
        return
    name = folder.resolve().name
    typed = typer.prompt(f"{folder} holds finished work. Type its name ({name}) to remove it")
    if typed.strip() != name:
        raise InputError(
            f"run folder {folder}",
            got=f"{typed!r} typed",
            expected=f"{name!r}, to remove the finished work in it",
            fix="choose another folder with --out, or leave out --overwrite to go on with the run",
        )
