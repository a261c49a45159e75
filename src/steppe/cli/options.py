"""Options that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

Sae = Annotated[
    str | None,
    typer.Option(
        help="'demo', a release such as gpt2-small-res-jb/blocks.1.hook_resid_pre, or a SAELens "
        "folder.",
    ),
]
Prompts = Annotated[
    str | None,
    typer.Option(
        help="A .txt, .jsonl or .parquet file, or a tokenised data set (folder or hub id).",
    ),
]
Device = Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:1 ...")]
Dtype = Annotated[str, typer.Option(help="float32, float64, bfloat16 or float16.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON instead of tables.")]
RunPath = Annotated[
    Path, typer.Argument(help="A run folder, for instance runs/giglemiani2024-demo.")
]
Out = Annotated[
    Path | None,
    typer.Option(help="The run folder.", show_default="runs/<recipe>-<subject>"),
]
