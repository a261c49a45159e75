"""Tables: every digit in the CSV, rounded and labelled text elsewhere."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from steppe.reports import terminal_table, to_latex, to_markdown, write_table
from steppe.reports.tables import for_reading


@pytest.fixture
def table() -> pd.DataFrame:
    return pd.DataFrame(
        {
            "kind": ["real", "synthetic_structured_without_cosine"],
            "mode": "absolute",
            "n": [1000, 998],
            "mean": [41.10512345, 50.2],
            "std": [10.4, 12.0],
            "ks": [0.0, 0.31],
            "mean_low": [40.5, np.nan],
            "mean_high": [41.7, np.nan],
            "ks_low": [0.0, 0.28],
            "ks_high": [0.0, 0.35],
            "published_mean": [41.21, np.nan],
            "published_ks": [0.0, np.nan],
            "undefined": [0, 2],
        }
    )


def test_csv_keeps_columns_and_digits(table: pd.DataFrame, tmp_path: Path) -> None:
    paths = write_table(tmp_path, "table_1", table, "n = 1000.")
    assert [path.name for path in paths] == ["table_1.csv", "table_1.md", "table_1.tex"]
    pd.testing.assert_frame_equal(pd.read_csv(paths[0]), table)
    assert paths[1].read_text().endswith("\n\nn = 1000.\n")


def test_markdown(table: pd.DataFrame) -> None:
    assert to_markdown(table).splitlines() == [
        "| Kind | Path | n | Mean | Std dev | KS | Published mean | Published KS | Undefined |",
        "| --- | --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |",
        "| Model-generated | absolute | 1000 | 41.11 [40.50, 41.70] | 10.40 | "
        "0.000 [0.000, 0.000] | 41.21 | 0.00 | 0 |",
        "| Synthetic-structured (w/o cos sim) | absolute | 998 | 50.20 | 12.00 | "
        "0.310 [0.280, 0.350] | – | – | 2 |",
    ]


def test_latex_is_escaped(table: pd.DataFrame) -> None:
    table["mode"] = ["50% & a_b", r"\x{}~^#$"]
    text = to_latex(table, "5% of n_1 – so", "tab:x")
    assert r"Model-generated & 50\% \& a\_b & 1000" in text
    assert r"\textbackslash{}x\{\}\textasciitilde{}\textasciicircum{}\#\$ &" in text
    assert r"\caption{5\% of n\_1 -- so}" in text
    assert r"\begin{tabular}{llrrrrrrr}" in text
    assert [text.count(rule) for rule in (r"\toprule", r"\midrule", r"\bottomrule")] == [1, 1, 1]


def test_terminal_text_is_aligned_and_keeps_the_names_of_kinds(table: pd.DataFrame) -> None:
    lines = terminal_table(table, "table_1").splitlines()
    assert lines[0] == "table_1"
    assert lines[3].startswith("real ")
    assert lines[4].startswith("synthetic_structured_without_cosine  absolute   998 ")
    assert len({line.index("absolute") for line in lines[3:]}) == 1


def test_quantities_of_different_size_in_one_column() -> None:
    table = pd.DataFrame({"quantity": ["latents", "cosine"], "mean": [21.2215, 0.28658]})
    assert "| latents | 21.22 |\n| cosine | 0.287 |" in to_markdown(table)


def test_small_numbers_keep_two_digits() -> None:
    large = pd.DataFrame({"kl": [4.2512, 0.0202, -0.000314, 0.0]})
    small = pd.DataFrame({"kl": [0.2512, 0.0202, -0.000314, 0.0]})
    cells = [
        [row.strip("| ") for row in to_markdown(one).splitlines()[2:]] for one in (large, small)
    ]
    assert cells == [["4.25", "0.020", "-0.00031", "0.00"], ["0.251", "0.020", "-0.00031", "0.000"]]


def test_pipes_empty_tables_and_all_undefined_columns() -> None:
    assert r"a\|b" in to_markdown(pd.DataFrame({"mode": ["a|b"]}))
    assert to_markdown(pd.DataFrame({"kind": [], "mean": []})).startswith("| Kind | Mean |")
    assert "| – |" in to_markdown(pd.DataFrame({"mean": [np.nan]}))


def test_nothing_is_changed(table: pd.DataFrame) -> None:
    before = table.copy(deep=True)
    to_markdown(table)
    pd.testing.assert_frame_equal(table, before)


def test_a_bound_is_shown_as_one() -> None:
    table = pd.DataFrame(
        {
            "kind": ["real", "random"],
            "ks": [0.03, 0.4],
            "ks_low": [0.0, 0.3],
            "ks_high": [0.08, 0.5],
            "ks_is_upper_bound": [True, False],
        }
    )
    shown = for_reading(table)
    assert list(shown.columns) == ["Kind", "KS"]
    assert shown["KS"].tolist() == ["0.030 [< 0.080]", "0.400 [0.300, 0.500]"]
