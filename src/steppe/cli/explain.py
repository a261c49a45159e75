"""`steppe explain`: every setting of a study, its meaning, default, unit and origin."""

from __future__ import annotations

import json
from dataclasses import asdict
from textwrap import wrap
from typing import TYPE_CHECKING, Annotated

import typer

from steppe.cli import options
from steppe.cli.telling import say
from steppe.core.lazy import load
from steppe.settings.catalogue import find_study

if TYPE_CHECKING:
    from steppe.settings.explaining import Setting

WIDTH = 100


def explain(
    study: Annotated[str, typer.Argument(help="Which study; `steppe list` shows all.")],
    as_json: options.Json = False,
) -> None:
    """List every setting of a study: what it means, its default and where that came from.

    Each is an option of `steppe reproduce STUDY` and a key of the YAML file of `steppe run`.
    """
    settings: tuple[Setting, ...] = load("steppe.settings.explaining:explain")(study)
    if as_json:
        say(json.dumps([asdict(setting) for setting in settings], indent=2))
        return
    known = find_study(study)
    say(f"{known.name}: {known.question}\n{known.paper}")
    for title, own in (("this study", True), ("every study", False)):
        say(f"\nSettings of {title}\n")
        for setting in settings:
            if setting.own is own:
                say(_lines(setting))


def _lines(setting: Setting) -> str:
    form = "|".join(setting.forms) + ",..." * setting.many
    indent = " " * 6
    facts = {
        "unit": setting.unit,
        "range": setting.limits,
        "default": setting.default,
        "from": setting.origin,
    }
    told = "; ".join(f"{name} {text}" for name, text in facts.items() if text)
    paragraphs = [form, setting.meaning, told]
    body = [line for text in paragraphs for line in wrap(text, WIDTH - len(indent))]
    return "\n".join([f"  {setting.name}", *(f"{indent}{line}" for line in body)])
