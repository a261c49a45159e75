"""`steppe bench`: what a curve costs on this machine, by every way of computing it."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from steppe.cli import options
from steppe.cli.telling import say
from steppe.core.lazy import load


def bench(
    subject: Annotated[
        str,
        typer.Option(
            help="gpt2-shape, pythia-shape or llama-shape (random weights, the size of GPT-2 "
            "small), demo, a hub id, or a model folder."
        ),
    ] = "gpt2-shape",
    part: Annotated[
        list[str] | None,
        typer.Option(
            help="Measure only this part: ways, long, everywhere, families, growth or width "
            "(repeatable).",
            show_default="all",
        ),
    ] = None,
    device: options.Device = "auto",
    threads: options.Threads = None,
    as_json: options.Json = False,
) -> None:
    """Time one curve by every way of computing it, in one run, beside the matrices alone.

    ways: the authors' way (whole prompt, everything kept, all logits; through TransformerLens too
    when it is installed), lean hooks, the engines, bfloat16; with and without KL. long: a prompt of
    512 tokens, per point. everywhere: all positions moved. families: other architectures. growth:
    with steps, layer, prompt length, prompts. width: with d_model.

    "of matrix rate" compares with the time in which this machine multiplies the same matrices and
    does nothing else; packed matrices can be faster than that. The last column says how many times
    as fast as the slowest way. Let nothing else run meanwhile; on 2 cores all parts take a quarter
    of an hour.
    """
    report = load("steppe.benchmark:run")(subject, part or [], device=device, threads=threads)
    say(json.dumps(report.as_dict(), indent=2) if as_json else report)
