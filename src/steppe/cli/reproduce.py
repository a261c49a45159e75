"""`steppe reproduce`: a published study on a subject, its numbers beside the published ones."""

from __future__ import annotations

from typing import Annotated

import typer

from steppe.cli import options
from steppe.cli.running import How, run_study
from steppe.core.lazy import load


def reproduce(
    recipe: Annotated[str, typer.Argument(help="Which study; `steppe list` shows all.")],
    subject: Annotated[
        str, typer.Option(help="'demo' (bundled), a hub id such as gpt2, or a model folder.")
    ] = "demo",
    sae: options.Sae = None,
    prompts: options.Prompts = None,
    samples: Annotated[
        int | None,
        typer.Option(help="Base prompts (lee2024: sequences).", show_default="the recipe's"),
    ] = None,
    reading: Annotated[
        str | None,
        typer.Option(
            help="'code': what the authors ran; 'text': what the paper says.", show_default="code"
        ),
    ] = None,
    only: Annotated[
        list[str] | None,
        typer.Option(
            help="Make only this table or figure, for instance table_1; in the other recipes this "
            "part, for instance baselines or plateaus (repeatable)."
        ),
    ] = None,
    step_size: Annotated[
        float | None,
        typer.Option(help="Length of an absolute step.", show_default="the paper's, scaled"),
    ] = None,
    threshold: Annotated[
        float | None,
        typer.Option(help="Plateau threshold on L2.", show_default="the paper's, scaled"),
    ] = None,
    seed: Annotated[int, typer.Option(help="Seed of every named random stream.")] = 0,
    device: options.Device = "auto",
    dtype: options.Dtype = "float32",
    engine: options.Engine = "auto",
    setting: options.Setting = None,
    out: options.Out = None,
    overwrite: options.Overwrite = False,
    workers: options.Workers = "serial",
    shard: options.Shard = None,
    threads: options.Threads = None,
    memory_budget: options.MemoryBudget = None,
) -> None:
    """Reproduce a published study: curves, statistics, tables and figures in one run folder.

    Repeating the command on the same folder goes on where it stopped, after Ctrl-C, a kill or a
    full disk. More --samples extend a run. A run folder of another configuration is refused, and
    overwritten only with --overwrite.

    [bold]steppe reproduce giglemiani2024[/bold] runs on the bundled subject, in minutes, offline.

    [bold]steppe reproduce giglemiani2024 --subject gpt2[/bold] runs the paper itself.

    [bold]steppe reproduce heimersheim2024[/bold]: plateaus, sensitive directions, local optima.

    [bold]steppe reproduce lee2024[/bold]: sensitive directions and SAEs, all positions moved.
    """
    options_given = {
        "recipe": recipe,
        "subject": subject,
        "sae": sae,
        "prompts": prompts,
        "samples": samples,
        "reading": reading,
        "only": only,
        "step_size": step_size,
        "threshold": threshold,
        "seed": seed,
        "device": device,
        "dtype": dtype,
        "engine": engine,
    }
    # What was not given is left to the recipe: each has options and defaults of its own.
    asked = {key: value for key, value in options_given.items() if value is not None}
    asked |= load("steppe.recipes.configuration:assignments")(setting or [])
    how = How(out, overwrite, workers, shard, threads, memory_budget)
    run_study(asked, "the command line", how)
