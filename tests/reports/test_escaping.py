"""Names that a user, or a hub, chose are shown as they are and take no effect."""

from __future__ import annotations

from pathlib import Path

import matplotlib
import pandas as pd
import pytest

from steppe.reports import Setting, Summary, terminal_table, write_summary, write_table
from steppe.reports.drawing import Drawing, panels, save_drawing, sign
from steppe.reports.escaping import csv_cell, markdown
from steppe.reports.style import house_style


@pytest.mark.parametrize("text", ["=1+1", "+cmd|' /C calc'!A0", "-2+3", "@SUM(A1)", "\t=1", "\r=1"])
def test_a_formula_is_text_in_a_csv(text: str) -> None:
    assert csv_cell(text) == f"'{text}"


@pytest.mark.parametrize("value", ["-1.5", "+2e3", -1.5, "real", "–", "a=b", None])
def test_numbers_and_names_stay(value: object) -> None:
    assert csv_cell(value) == value


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("<script>alert(1)</script>", r"\<script>alert(1)\</script>"),
        ("![x](http://a/b.png)", r"![x\](http://a/b.png)"),
        ("[x][y] [x]: z", r"[x\][y] [x\]: z"),
        ("`a` *b* ~~c~~ $d$ e|f", r"\`a\` \*b\* \~\~c\~\~ \$d\$ e\|f"),
        ("__a__ blocks.1.hook_resid_pre", r"\_\_a\_\_ blocks.1.hook_resid_pre"),
        ("&lt;b&gt; R&D", "&amp;lt;b&amp;gt; R&D"),
        ("a\n\n# b", "a # b"),
        ("KL < 0.5 [0.1, 0.2]", "KL < 0.5 [0.1, 0.2]"),
        ("\u202eabc", r"\\u202eabc"),
    ],
)
def test_markdown_shows_what_is_there(text: str, shown: str) -> None:
    assert markdown(text) == shown


def test_no_file_of_a_run_obeys_a_name(tmp_path: Path) -> None:
    name = "=cmd()<img src=x onerror=alert(1)>\n# [a](b)\x1b[2J"
    table = pd.DataFrame({"kind": [name], "mean": [-1.5]})
    write_table(tmp_path, "t", table, f"On {name}.")
    write_summary(tmp_path / "s.md", Summary(f"On {name}", {"model": name}))
    assert (tmp_path / "t.csv").read_text().startswith("kind,mean\n\"'=cmd()")
    for path in (tmp_path / "t.md", tmp_path / "s.md"):
        text = path.read_text()
        assert "<img" not in text.replace(r"\<img", "")
        assert "](" not in text.replace(r"\](", "")
        assert "\n# [" not in text
        assert "\x1b" not in text
    shown = terminal_table(table)
    assert "\x1b" not in shown
    assert len(shown.splitlines()) == 3


def test_figures_obey_neither_the_users_settings_nor_a_name(tmp_path: Path) -> None:
    with matplotlib.rc_context({"text.usetex": True, "font.size": 30}):
        with house_style():
            figure, _ = panels(1)
            sign(figure, Setting(r"my $\model$ x"))
            assert matplotlib.rcParams["font.size"] == 9
        save_drawing(tmp_path, "f", Drawing(figure, "x"))
        assert matplotlib.rcParams["text.usetex"] is True
    assert (tmp_path / "f.png").stat().st_size
