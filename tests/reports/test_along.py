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
    drawing = along(table(), "layer", ["ks"], "kind")
    (ax,) = drawing.figure.axes
    lines = {
        container.get_label(): container[0].get_xydata().tolist() for container in ax.containers
    }
    assert lines == {
        "Model-generated": [[0, 0.0], [2, 0.2], [4, 0.4]],
        "Random": [[0, 0.3], [2, 0.5], [4, 0.7]],
    }
    assert ax.get_xticks().tolist() == [0, 2, 4]
    assert drawing.caption == "ks by layer, a line per kind. Bars: 95% intervals."
    assert not texts_outside(drawing.figure)
    # A number says in the legend of what it is.
    seeds = along(table().assign(seed=[0, 1] * 3), "layer", ["ks"], "seed").figure.axes[0]
    assert [one.get_label() for one in seeds.containers] == ["Seed 0", "Seed 1"]
    # Places that are measured, as an L0, may be next to each other: their numbers would overlap.
    near = along(table().assign(l0=[4.0, 4.1, 2.0, 2.1, 8.0, 8.1]), "l0", ["ks"], "kind")
    assert not {4.1, 8.1} & {*near.figure.axes[0].get_xticks()}


def test_a_column_tells_panels_apart() -> None:
    """Each with its own lines only, a line alike in all of them, and one y axis."""
    twice = table().assign(context="native"), table().assign(context="foreign", ks=0.9)
    rows = pd.concat([twice[0], twice[1][twice[1]["kind"] == "random"]])
    drawing = along(rows, "layer", ["ks"], "kind", "context")
    native, foreign = drawing.figure.axes
    assert [ax.get_title(loc="left") for ax in (native, foreign)] == ["Native", "Foreign"]
    lines = [{one.get_label(): one[0] for one in ax.containers} for ax in (native, foreign)]
    assert [list(one) for one in lines] == [["Model-generated", "Random"], ["Random"]]
    assert lines[1]["Random"].get_ydata().tolist() == [0.9] * 3
    assert lines[0]["Random"].get_marker() == lines[1]["Random"].get_marker()
    assert native.get_ylim() == foreign.get_ylim()
    assert drawing.caption.startswith("ks by layer, a line per kind, a panel per context.")
    with pytest.raises(InputError, match=r"(?s)several rows of real at layer = 0.*panels apart"):
        along(pd.concat([twice[0], twice[0]]), "layer", ["ks"], "kind", "context")


@pytest.mark.parametrize(
    ("axis", "series", "expected"),
    [
        ("layer", "", "(?s)several rows of the line at layer = 0.*tell lines and panels apart"),
        ("kind", "kind", "(?s)axis kind.*a column of numbers"),
        ("layers", "kind", "did you mean 'layer'"),
    ],
)
def test_what_cannot_be_drawn_is_refused(axis: str, series: str, expected: str) -> None:
    with pytest.raises(InputError, match=expected):
        along(table(), axis, ["ks"], series)
