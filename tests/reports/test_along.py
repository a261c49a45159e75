"""Numbers along an axis: in the axis' order, one line a label, and no two rows at one place."""

from __future__ import annotations

from collections.abc import Callable

import pandas as pd
import pytest
from matplotlib.figure import Figure

from steppe.core.errors import InputError
from steppe.reports import along


def table() -> pd.DataFrame:
    rows = [
        {"kind": kind, "layer": layer, "ks": offset + layer / 10, "ks_low": 0.0, "ks_high": 0.9}
        for layer in (4, 0, 2)
        for kind, offset in (("real", 0.0), ("random", 0.3))
    ]
    return pd.DataFrame(rows)


def test_lines_are_in_the_axis_order(texts_outside: Callable[[Figure], list[str]]) -> None:
    drawing = along(table(), "layer", ["ks"], "kind", "n = 3.")
    (ax,) = drawing.figure.axes
    lines = {
        container.get_label(): container[0].get_xydata().tolist() for container in ax.containers
    }
    assert lines == {
        "Model-generated": [[0, 0.0], [2, 0.2], [4, 0.4]],
        "Random": [[0, 0.3], [2, 0.5], [4, 0.7]],
    }
    assert ax.get_xticks().tolist() == [0, 2, 4]
    assert drawing.caption == "ks by layer, a line per kind. Bars: 95% intervals. n = 3."
    assert not texts_outside(drawing.figure)


@pytest.mark.parametrize(
    ("axis", "series", "expected"),
    [
        ("layer", "", "(?s)several rows of the line at layer = 0.*tells lines apart"),
        ("kind", "kind", "(?s)axis kind.*a column of numbers"),
        ("layers", "kind", "did you mean 'layer'"),
    ],
)
def test_what_cannot_be_drawn_is_refused(axis: str, series: str, expected: str) -> None:
    with pytest.raises(InputError, match=expected):
        along(table(), axis, ["ks"], series)
