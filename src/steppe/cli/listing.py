"""`steppe list`: which studies, kinds, directions, metrics, statistics, SAE releases there are."""

from __future__ import annotations

import fnmatch
import json
from typing import Annotated

import typer

from steppe.cli import options
from steppe.cli.telling import say
from steppe.core.errors import InputError
from steppe.core.lazy import load

SOURCES = {
    "studies": "steppe.settings.catalogue:STUDIES",
    "kinds": "steppe.activations:KINDS",
    "directions": "steppe.paths:DIRECTIONS",
    "fixed directions": "steppe.core.fixed_directions:FIXED_KINDS",
    "paths": "steppe.paths:PATHS",
    "substitutions": "steppe.paths:SUBSTITUTIONS",
    "metrics": "steppe.metrics:CATALOGUE",
    "metrics of tokens and latents": "steppe.metrics.named:NAMED",
    "statistics": "steppe.statistics:CATALOGUE",
    "sae releases": "steppe.sae:releases",
}


SAES = "saes"


def listing(
    what: Annotated[
        str | None, typer.Argument(help="'saes' lists every SAE that has a short name.")
    ] = None,
    pattern: Annotated[
        str | None, typer.Argument(help="Only those with this in their name; * and ? stand open.")
    ] = None,
    as_json: options.Json = False,
) -> None:
    """List the studies, and what they can use: kinds, directions, metrics, statistics, SAEs."""
    if what is not None:
        _list_saes(what, pattern or "", as_json)
        return
    content = {name: _lines(_loaded(address)) for name, address in SOURCES.items()}
    if as_json:
        say(json.dumps(content, indent=2))
        return
    for name, entries in content.items():
        say(name)
        width = max(map(len, entries))
        for entry, meaning in entries.items():
            say(f"  {entry:<{width}}  {meaning}")


def _list_saes(what: str, pattern: str, as_json: bool) -> None:
    if what != SAES:
        raise InputError(
            "steppe list",
            got=repr(what),
            expected=f"nothing, or {SAES!r}",
            fix="steppe list saes gemma-scope-2b",
        )
    every: dict[str, str] = load("steppe.sae.releases:every_sae")()
    found = {
        name: address
        for name, address in every.items()
        if fnmatch.fnmatchcase(name.lower(), f"*{pattern.lower()}*")
    }
    if not found:
        raise InputError(
            "steppe list saes",
            got=f"no SAE with {pattern!r} in its name",
            expected="a part of a release's or an SAE's name",
            fix="steppe list saes; more are known where sae_lens is installed",
        )
    if as_json:
        say(json.dumps(found, indent=2))
        return
    for name, address in found.items():
        say(f"{name}  {address}")


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
