"""Several runs side by side: what each ran, and the verdicts on each claim, as one page."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from typing import Any

import pandas as pd

from steppe.core.text import html_text
from steppe.reports.overview import sentence

_VERDICTS = ("holds", "does not hold", "undecided")


@dataclass(frozen=True, eq=False)
class Beside:
    """A run among several.

    Attributes:
        name: What it is called: its folder's name.
        resolved: What its settings came to.
        claims: Its table of claims; None where it decides none.
        link: Where its own page is; empty: nowhere.
    """

    name: str
    resolved: Mapping[str, Any]
    claims: pd.DataFrame | None
    link: str = ""


def render_several(runs: Sequence[Beside]) -> str:
    """The page: a row a run, then a row a claim and a column a run."""
    style = files("steppe.reports.page").joinpath("page.css").read_text(encoding="utf-8")
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<meta name="color-scheme" content="light dark">\n'
        '<meta http-equiv="Content-Security-Policy" content="default-src \'none\'; '
        "style-src 'unsafe-inline'\">\n"
        f"<title>Runs side by side</title>\n<style>{style}</style>\n</head>\n<body>\n<main>\n"
        f"<h1>Runs side by side</h1>\n{_runs(runs)}\n{_claims(runs)}\n</main>\n</body>\n</html>\n"
    )


def _runs(runs: Sequence[Beside]) -> str:
    rows = [["run", "what was run", *_VERDICTS]]
    for run in runs:
        verdicts = [] if run.claims is None else list(run.claims["verdict"])
        counts = [str(verdicts.count(verdict)) for verdict in _VERDICTS]
        rows.append([_linked(run), html_text(sentence(run.resolved)), *counts])
    return f'<div class="wide">{_table(rows)}</div>'


def _claims(runs: Sequence[Beside]) -> str:
    statements: dict[str, str] = {}
    found: list[dict[str, str]] = []
    for run in runs:
        rows = [] if run.claims is None else run.claims.to_dict("records")
        statements |= {row["id"]: row["statement"] for row in rows if row["id"] not in statements}
        found.append({row["id"]: _verdict({str(k): v for k, v in row.items()}) for row in rows})
    if not statements:
        return "<p>None of them decides a claim.</p>"
    rows_of_claims = [["claim", "what it says", *(_linked(run) for run in runs)]]
    for name, statement in statements.items():
        cells = [one.get(name, "–") for one in found]
        rows_of_claims.append([html_text(name), html_text(statement), *cells])
    return f'<h2>Claims</h2>\n<div class="wide">{_table(rows_of_claims)}</div>'


def _verdict(row: Mapping[str, Any]) -> str:
    """The verdict, and the number with its interval."""
    numbers = [row.get(name, math.nan) for name in ("number", "low", "high")]
    number, low, high = ("–" if pd.isna(one) else f"{one:.3g}" for one in numbers)
    verdict = str(row["verdict"])
    kind = html_text(verdict.replace(" ", "_"))
    return f'<span class="{kind}">{html_text(verdict)}</span><br>{number} [{low}, {high}]'


def _linked(run: Beside) -> str:
    name = html_text(run.name)
    return f'<a href="{html_text(run.link)}">{name}</a>' if run.link else name


def _table(rows: Sequence[Sequence[str]]) -> str:
    """A table from cells that are HTML already; its first row is the head."""
    head = "".join(f'<th scope="col">{cell}</th>' for cell in rows[0])
    body = "".join(
        f'<tr><th scope="row">{first}</th>{"".join(f"<td>{cell}</td>" for cell in rest)}</tr>'
        for first, *rest in rows[1:]
    )
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
