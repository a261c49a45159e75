"""`steppe check`: compare the suffix with full forward passes, and an SAE with its description."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated

import typer

from steppe.cli import options
from steppe.cli.telling import say
from steppe.core.lazy import load

FAILED = 1


def check(
    model: Annotated[
        str,
        typer.Argument(
            help="'demo' (bundled), a hub id such as gpt2, a model folder or .gguf file."
        ),
    ],
    sae: Annotated[
        list[str] | None,
        typer.Option(
            help="'demo', a release such as gpt2-small-res-jb/blocks.1.hook_resid_pre, or a "
            "folder or file of any public format, see docs/saes.md (repeatable).",
            show_default="those that belong to the model",
        ),
    ] = None,
    prompts: options.Prompts = None,
    revision: Annotated[
        str | None,
        typer.Option(help="Branch, tag or commit of the model.", show_default="the newest"),
    ] = None,
    device: options.Device = "auto",
    device_map: Annotated[
        str | None,
        typer.Option(
            help="auto, balanced or sequential: share a model that is too large for one device out "
            "over all of them, the memory beside them and the disk.",
            show_default="one device",
        ),
    ] = None,
    sae_device: Annotated[
        str | None, typer.Option(help="Where SAEs are.", show_default="the model's device")
    ] = None,
    dtype: options.Dtype = "float32",
    engine: options.Engine = "auto",
    coordinates: Annotated[
        str | None,
        typer.Option(
            help="'centered' or 'raw' residuals.", show_default="the SAEs', else the model's own"
        ),
    ] = None,
    length: Annotated[
        int | None, typer.Option(min=1, help="Tokens per sequence.", show_default="128")
    ] = None,
    bos: Annotated[
        str,
        typer.Option(
            help="Put BOS before sequences that lack it: yes, no, or auto, as the SAEs were "
            "trained and, where that is not known, as the tokenizer does."
        ),
    ] = "auto",
    column: Annotated[
        str | None,
        typer.Option(
            help="Column of the text or the token ids.",
            show_default="input_ids, text or tokens",
        ),
    ] = None,
    strict: Annotated[
        bool, typer.Option("--strict", help="Refuse prompts with any row that cannot be used.")
    ] = False,
    max_bad_rows: Annotated[
        float,
        typer.Option(min=0, max=1, help="Share of rows that cannot be used and are skipped."),
    ] = 0.01,
    prompts_revision: Annotated[
        str | None,
        typer.Option(help="Branch, tag or commit of a data set.", show_default="the newest"),
    ] = None,
    tokens: Annotated[
        int | None,
        typer.Option(
            min=2,
            help="On how many tokens.",
            show_default="until losses are known to 0.02 nats, at most 32768",
        ),
    ] = None,
    record: Annotated[
        Path | None,
        typer.Option(
            help="Folder for a record of the check: a small JSON file with the model, versions, "
            "and the agreement at first, middle and last layer. docs/models.md is made of such "
            "files.",
            show_default="none is kept",
        ),
    ] = None,
    as_json: options.Json = False,
) -> None:
    """Check a model and its SAEs on real tokens.

    Compares the suffix run with the full forward pass, and prints the loss, and for each SAE its
    explained variance, L0 and dead share. A wrong coordinate system, hook or normalisation shows
    here as a low explained variance.
    """
    say(f"checking {model}: loading", error=True)
    request = load("steppe.checks.checking:CheckRequest")(
        model=model,
        saes=tuple(sae or ()),
        prompts=prompts,
        revision=revision,
        device=device,
        device_map=device_map,
        sae_device=sae_device,
        dtype=dtype,
        engine=engine,
        coordinates=coordinates,
        length=length,
        bos=bos,
        column=column,
        strict=strict,
        max_bad_rows=max_bad_rows,
        prompts_revision=prompts_revision,
        tokens=tokens,
        record=record,
    )
    report = load("steppe.checks.checking:check_model")(request)
    if as_json:
        say(json.dumps(report.as_dict(), indent=2))
    else:
        say(report)
    if not report.passed:
        sys.exit(FAILED)
