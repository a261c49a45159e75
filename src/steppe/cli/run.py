"""`steppe run`: a study of your own, from a YAML file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from steppe.cli import options
from steppe.cli.running import How, run_study
from steppe.core.lazy import load


def run(
    config: Annotated[
        Path, typer.Argument(help="A YAML file with `recipe:` and any of its settings.")
    ],
    out: options.Out = None,
    overwrite: options.Overwrite = False,
    workers: options.Workers = "serial",
    shard: options.Shard = None,
    threads: options.Threads = None,
    memory_budget: options.MemoryBudget = None,
) -> None:
    """Run a study described by a YAML file.

    The file names a recipe and whichever of its settings differ from the published study, for
    instance another model, SAE, site, prompt length or choice of kinds. The `asked` part of a run
    folder's config.yaml is such a file.

    Repeating the command on the same folder goes on where it stopped, after Ctrl-C, a kill or a
    full disk. More samples extend a run. `steppe status` says how far it is.
    """
    asked = load("steppe.recipes.configuration:read_config")(config)
    how = How(out, overwrite, workers, shard, threads, memory_budget)
    run_study(asked, f"config {config}", how)
