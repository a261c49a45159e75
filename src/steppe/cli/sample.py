"""`steppe sample`: prompts that the model writes itself."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from steppe.cli.telling import say
from steppe.core.lazy import load


def sample(
    model: Annotated[str, typer.Argument(help="As --model: demo, smollm2, a folder ...")],
    out: Annotated[Path, typer.Argument(help="A .jsonl file to be made, for --prompts.")],
    count: Annotated[int, typer.Option(min=1, help="Texts.")] = 512,
    length: Annotated[int, typer.Option(min=1, help="Tokens of each text.")] = 128,
    seed: Annotated[int, typer.Option(min=0, help="Which texts are drawn.")] = 0,
) -> None:
    """Let a model write texts at temperature 1, as prompts where no text is at hand.

    A study cuts each text into prompts of its length. Texts of people say more about what the model
    was made for: give your own where you have some.

    [bold]steppe sample smollm2 texts.jsonl --count 512[/bold]
    """
    loaded = load("steppe.models:load_model")(model)
    load("steppe.models.sampling:write_texts")(loaded, out, count, length, seed)
    say(f"{out}: {count} texts of {length} tokens, written by {model}, seed {seed}")
