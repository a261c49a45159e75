"""`steppe list`: which recipes, kinds, directions, readouts, statistics, SAE releases there are."""

from __future__ import annotations

import json

from steppe.cli import options
from steppe.cli.telling import say
from steppe.core.lazy import load

SOURCES = {
    "recipes": "steppe.recipes.catalogue:RECIPES",
    "kinds": "steppe.activations:KINDS",
    "directions": "steppe.paths:DIRECTIONS",
    "substitutions": "steppe.paths:SUBSTITUTIONS",
    "readouts": "steppe.readouts:CATALOGUE",
    "statistics": "steppe.statistics:CATALOGUE",
    "sae releases": "steppe.sae:releases",
}


def listing(as_json: options.Json = False) -> None:
    """List the recipes, and what they can use: kinds, directions, readouts, statistics, SAEs."""
    content = {name: _lines(_loaded(address)) for name, address in SOURCES.items()}
    if as_json:
        say(json.dumps(content, indent=2))
        return
    for name, entries in content.items():
        say(name)
        width = max(map(len, entries))
        for entry, meaning in entries.items():
            say(f"  {entry:<{width}}  {meaning}")


def _loaded(address: str) -> dict[str, object]:
    found = load(address)
    catalogue: dict[str, object] = found() if callable(found) else found
    return catalogue


def _lines(catalogue: dict[str, object]) -> dict[str, str]:
    return {name: _meaning(entry) for name, entry in catalogue.items()}


def _meaning(entry: object) -> str:
    for attribute in ("question", "description", "long_name", "label", "repo_id"):
        if text := getattr(entry, attribute, None):
            return str(text)
    return ""
