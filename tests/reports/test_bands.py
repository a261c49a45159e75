"""Lines with intervals, and bars: what is asked for is drawn, with one legend."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from steppe.reports import (
    Band,
    BarPanel,
    Bars,
    Level,
    Panel,
    draw_bands,
    draw_bars,
    save_drawing,
    shades,
)

X = np.array([0.0, 1.0, 10.0])


def band(label: str, **changes: object) -> Band:
    return Band(label, X, X**2, "tab:blue", 0.9 * X**2, 1.1 * X**2, **changes)  # type: ignore[arg-type]


def test_panels_share_one_legend_and_a_short_row_is_left_empty() -> None:
    panels = [Panel(f"panel {i}", [band("one"), band("two")], "x", "y") for i in range(3)]
    drawing = draw_bands(panels, "caption", columns=2)
    assert [ax.get_title(loc="left") for ax in drawing.figure.axes] == [p.title for p in panels]
    [legend] = drawing.figure.legends
    assert [text.get_text() for text in legend.get_texts()] == ["one", "two"]


def test_a_logarithmic_axis_leaves_length_zero_out() -> None:
    panel = Panel("", [band("one")], "x", "y", log="xy", ticks=[1, 10], note="demo, n = 3")
    [ax] = draw_bands([panel], "caption", columns=1).figure.axes
    assert ax.lines[0].get_xdata().tolist() == [1.0, 10.0]  # type: ignore[union-attr]
    assert ax.get_xscale() == ax.get_yscale() == "log"
    assert "demo, n = 3" in [text.get_text() for text in ax.texts]


def test_panels_can_share_the_y_axis() -> None:
    high = Band("high", X, 100 * X, "tab:red")
    panels = [Panel("a", [band("low")], "x", "y"), Panel("b", [high], "x", "y")]
    axes = draw_bands(panels, "caption", same_y=True).figure.axes
    assert axes[0].get_ylim() == axes[1].get_ylim()


def test_bars_have_a_place_each(tmp_path: Path) -> None:
    kinds = [
        Bars(name, "tab:blue", [1.0, np.nan], [0.9, np.nan], [1.2, np.nan]) for name in ("a", "b")
    ]
    level = Level("everything", 3.0, "tab:red", "dotted")
    panel = BarPanel(["first", "second"], kinds, "KL", [level], "demo, n = 3")
    drawing = draw_bars(panel, "caption")
    [ax] = drawing.figure.axes
    left = [patch.get_x() for patch in ax.patches]  # type: ignore[attr-defined]
    assert len(set(left)) == 4
    assert [text.get_text() for text in drawing.figure.legends[0].get_texts()] == [
        "everything", "a", "b"
    ]  # fmt: skip
    assert [tick.get_text() for tick in ax.get_xticklabels()] == ["first", "second"]
    assert (tmp_path / "x.png") in save_drawing(tmp_path, "x", drawing)


def test_a_level_is_in_view() -> None:
    low = Band("low", X, 0.01 * X, "tab:red")
    [ax] = draw_bands([Panel("", [low], "x", "y", level=1.0)], "caption", columns=1).figure.axes
    assert ax.get_ylim()[0] == 0
    assert ax.get_ylim()[1] >= 1.0


def test_shades_go_from_light_to_dark() -> None:
    assert shades("#1f77b4", 1) == ["#1f77b4"]
    brightness = [sum(bytes.fromhex(shade[1:])) for shade in shades("tab:blue", 5)]
    assert brightness == sorted(brightness, reverse=True)
    assert len(set(brightness)) == 5
