"""Dots with intervals: one a kind, at its number, the first row's as a line."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from matplotlib.figure import Figure

from steppe.reports import Row, RowPanel, Setting, draw_rows


def test_rows_stand_at_their_numbers(texts_outside: Callable[[Figure], list[str]]) -> None:
    rows = [Row("real", 3.0, 2.5, 3.5), Row("composed_dial:0.25", 1.0, 0.5, 2.0),
            Row("random", np.nan, np.nan, np.nan)]  # fmt: skip
    drawing = draw_rows(
        [RowPanel("plateau step", rows), RowPanel("KS", rows)], "n = 3.", Setting(model="tiny")
    )
    left, right = drawing.figure.axes
    assert [text.get_text() for text in left.get_yticklabels()] == [
        "Model-generated", "Composed dial:0.25", "Random",
    ]  # fmt: skip
    dots = [container[0].get_xdata().tolist() for container in right.containers]
    assert dots[:2] == [[3.0], [1.0]]
    assert left.lines[-1].get_xdata()[0] == 3.0
    assert not texts_outside(drawing.figure)
