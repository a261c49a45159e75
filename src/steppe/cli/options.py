"""Options that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

RUNNING = "How it is run"
OVERWRITE = "--overwrite"

Prompts = Annotated[
    str | None,
    typer.Option(
        help="A .txt, .md, .jsonl, .json, .csv or .parquet file (also .gz, .zst or .xz), "
        "a folder of them, or a data set (folder or hub id).",
    ),
]
Device = Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:1 ...")]
Dtype = Annotated[
    str,
    typer.Option(
        help="float32, float64, bfloat16 or float16. Half precision is for the blocks' matrices; "
        "the residual stream, normalisations and metrics stay float32, unless a device map "
        "shares the model out: then all is in it.",
    ),
]
Engine = Annotated[
    str,
    typer.Option(
        help="How the model is run on from a site. auto: the fastest that is exact. fast: packed "
        "matrices, attention over a shared prefix. general: the model's own operations. full: the "
        "whole model for every point, for models whose layers keep a running state.",
    ),
]
MemoryBudget = Annotated[
    str | None,
    typer.Option(
        help="Memory beyond the weights, for instance 500MB or 4GB; on tight machines it makes "
        "batches smaller, which changes numbers in the last digit only.",
        show_default="half of what is free",
        rich_help_panel=RUNNING,
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON instead of tables.")]
RunPath = Annotated[
    Path, typer.Argument(help="A run folder, for instance runs/giglemiani2024-demo.")
]
Out = Annotated[
    Path | None,
    typer.Option(
        help="The run folder.", show_default="runs/<study>-<model>", rich_help_panel=RUNNING
    ),
]
Overwrite = Annotated[
    bool,
    typer.Option(
        OVERWRITE,
        help="Remove the run that is in the folder, and start anew.",
        rich_help_panel=RUNNING,
    ),
]
Workers = Annotated[
    str,
    typer.Option(
        help="serial: this process. ray: one worker per GPU (or per four CPUs), on this machine or "
        "the cluster at RAY_ADDRESS. ray:4: four workers.",
        rich_help_panel=RUNNING,
    ),
]
Shard = Annotated[
    str | None,
    typer.Option(
        help="Compute one part of the run, index/count from 0/count on: one of several processes "
        "(Slurm arrays) that share the folder.",
        show_default="all of it; under torchrun, RANK/WORLD_SIZE",
        rich_help_panel=RUNNING,
    ),
]
Threads = Annotated[
    int | None,
    typer.Option(
        min=1,
        help="CPU threads of each worker.",
        show_default="all, shared out",
        rich_help_panel=RUNNING,
    ),
]
Explain = Annotated[
    bool,
    typer.Option(
        "--explain",
        help="Say what would be measured, in how many points and how much memory; run nothing, "
        "read no weight.",
        rich_help_panel=RUNNING,
    ),
]
ExplainTime = Annotated[
    bool,
    typer.Option(
        "--explain-time",
        help="The same with the time it would take: loads the model and measures a few samples of "
        "every part.",
        rich_help_panel=RUNNING,
    ),
]
ExplainJson = Annotated[
    bool, typer.Option("--json", help="With --explain: print JSON.", rich_help_panel=RUNNING)
]
