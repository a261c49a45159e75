"""Runs side by side: each verdict under its run, texts of others without effect."""

from __future__ import annotations

from html.parser import HTMLParser
from typing import Any

import pandas as pd
from tests.reports.page.conftest import HOSTILE

from steppe.reports.page.several import Beside, render_several


def claims(**verdicts: str) -> pd.DataFrame:
    rows = [
        {"id": name, "statement": f"{name} {HOSTILE}", "verdict": verdict, "number": 0.5,
         "low": 0.25, "high": None}
        for name, verdict in verdicts.items()
    ]  # fmt: skip
    return pd.DataFrame(rows)


class Cells(HTMLParser):
    """The texts of all cells, row by row, and the names of all elements."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.rows: list[list[str]] = []
        self.tags: list[str] = []
        self.links: list[Any] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        if tag == "tr":
            self.rows.append([])
        if tag in ("td", "th"):
            self.rows[-1].append("")
        if tag == "a":
            self.links.append(dict(attrs)["href"])

    def handle_data(self, data: str) -> None:
        if self.rows and self.rows[-1]:
            self.rows[-1][-1] += data


def test_each_verdict_stands_under_its_run() -> None:
    resolved = {"study": HOSTILE, "model_identity": {"name": "demo"}, "samples": 5}
    runs = [
        Beside("one", resolved, claims(A="holds", B="undecided"), "one.html"),
        Beside("two", resolved, claims(B="does not hold", C="holds")),
        Beside("none", {}, None),
    ]
    found = Cells(render_several(runs))
    assert "script" not in found.tags
    assert "img" not in found.tags
    assert found.links == ["one.html", "one.html"]
    assert found.rows[1][2:] == ["1", "0", "1"]
    assert found.rows[2][2:] == ["1", "1", "0"]
    matrix = {row[0]: row[2:] for row in found.rows[5:] if len(row) == 5}
    assert matrix["A"] == ["holds0.5 [0.25, –]", "–", "–"]
    assert matrix["B"] == ["undecided0.5 [0.25, –]", "does not hold0.5 [0.25, –]", "–"]
    assert matrix["C"][0] == "–"


def test_runs_without_claims_say_so() -> None:
    assert "None of them decides a claim" in render_several([Beside("x", {}, None)])
