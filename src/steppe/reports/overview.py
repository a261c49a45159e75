"""A run in one screen of a terminal: what was run, what it says, and where to look."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Mapping
from typing import Any

import pandas as pd

from steppe.core.text import printable

WIDTH = 80
_CLAIMS = "claims"
_VERDICTS = {"holds": "+", "does not hold": "-", "undecided": "?", "undefined": " "}


def sentence(resolved: Mapping[str, Any]) -> str:
    """What was run, in a sentence."""
    model = resolved.get("model_identity", {}).get("name", "a model that is not recorded")
    facts = [
        f"{resolved['samples']} samples" if "samples" in resolved else "",
        f"moved at {resolved['site']}" if "site" in resolved else "",
        f"seed {resolved['seed']}" if "seed" in resolved else "",
    ]
    told = ", ".join(filter(None, facts))
    return printable(f"{resolved.get('study', 'a run')} on {model}{told and f': {told}'}.", keep="")


def overview(resolved: Mapping[str, Any], tables: Mapping[str, pd.DataFrame], path: str) -> str:
    """The run as text, no line longer than 80 characters but for commands on a folder of long name.

    Args:
        resolved: What its settings came to.
        tables: Its tables by name; ``claims`` has the verdicts.
        path: The run folder, as commands are given it.
    """
    lines = [*_wrapped(sentence(resolved)), ""]
    claims = tables.get(_CLAIMS)
    if claims is not None:
        lines += [*_claims(claims), ""]
    lines += _wrapped(printable(" ".join(tables), keep=""), "tables   ")
    lines += [
        f"  one    steppe show {path} --table {next(iter(tables))}",
        f"  all    steppe show {path} --all",
        f"explore  steppe view {path}",
    ]
    return "\n".join(lines)


def _claims(claims: pd.DataFrame) -> Iterator[str]:
    """One line a claim, and what the signs mean."""
    ids = max(map(len, claims["id"].astype(str)))
    for row in claims.to_dict("records"):
        holm = row.get("verdict_holm", row["verdict"])
        is_kept = row["verdict"] == holm and row["verdict"] in ("holds", "does not hold")
        sign = _VERDICTS.get(str(row["verdict"]), "?") + ("*" if is_kept else " ")
        text = f"{sign} {row['id']!s:<{ids}}  {row['statement']}"
        yield _shortened(printable(text, keep=""))
    counts = claims["verdict"].value_counts()
    told = ", ".join(
        f"{sign} {name} {counts.get(name, 0)}"
        for name, sign in _VERDICTS.items()
        if name in counts or name != "undefined"
    )
    yield f"{told}; *: also after Holm's correction"


def _shortened(text: str) -> str:
    return text if len(text) <= WIDTH else f"{text[: WIDTH - 4].rstrip()} ..."


def _wrapped(text: str, head: str = "") -> list[str]:
    return textwrap.wrap(
        f"{head}{text}", WIDTH, subsequent_indent=" " * len(head), break_on_hyphens=False
    )
