"""The summary says what ran, what came out, and where it is."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from steppe.reports import FigureEntry, Summary, TableEntry, write_summary


def test_summary(tmp_path: Path) -> None:
    summary = Summary(
        title="giglemiani2024 on demo",
        facts={"model": "demo", "samples": 100},
        claims=["Random targets blow up later: holds (10.2 steps)."],
        claims_note="Chance alone would give 0.0.",
        tables=[
            TableEntry("table_a1", pd.DataFrame({"kind": ["real"], "mean": [1.5]}), "n = 100."),
            TableEntry("table_e", pd.DataFrame({"kind": ["real"]}), "n = 9."),
        ],
        figures=[FigureEntry("figure_2", "MS steps.")],
    )
    write_summary(tmp_path / "summary.md", summary)
    text = (tmp_path / "summary.md").read_text()
    assert text.startswith("# giglemiani2024 on demo\n\n## What was run\n\n- model: demo\n")
    assert (
        "- Random targets blow up later: holds (10.2 steps).\n\nChance alone would give 0.0.\n"
        in text
    )
    assert "### Table A.1\n\n| Kind | Mean |\n" in text
    assert "| Model-generated | 1.50 |" in text
    assert "n = 100. (`tables/table_a1.csv`)" in text
    assert "### Table E\n" in text
    assert "![Figure 2](figures/figure_2.png)\n\nMS steps.\n" in text
    assert "`*.zarr`: what was measured" in text


def test_an_empty_summary_has_no_empty_sections(tmp_path: Path) -> None:
    write_summary(tmp_path / "s.md", Summary("t", {}))
    text = (tmp_path / "s.md").read_text()
    assert "## Tables" not in text
    assert "claims" not in text
