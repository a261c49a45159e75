"""Planes, triangles, bands and crossings are drawn from given numbers, with n and model."""

from __future__ import annotations

import numpy as np
import pytest

from steppe.paths import barycentric
from steppe.reports import (
    BandPanel,
    ChangePanel,
    CountPanel,
    CrossingRow,
    Drawing,
    PlaneMap,
    Setting,
    Spread,
    TriangleMap,
    by_count,
    changes,
    count_histogram,
    crossing_distributions,
    crossing_shares,
    curve_bands,
    plane,
    single_curves,
    triangles,
)

SETTING = Setting("tiny, moved at blocks.1.hook_resid_pre")
GENERATOR = np.random.default_rng(0)


def crossings(kinds: list[str]) -> CrossingRow:
    values = {kind: GENERATOR.uniform(10, 60, (20, 3)) for kind in kinds}
    values[kinds[0]][3, 1] = np.inf
    values[kinds[0]][4, 1] = np.nan
    return CrossingRow("sphere", "angle (degrees)", 180.0, values)


def test_a_plane_has_a_surface_and_a_map_with_three_marks() -> None:
    found = PlaneMap(
        first=np.linspace(-1, 2, 12), second=np.linspace(-1, 3, 10),
        kl=GENERATOR.uniform(0, 3, (10, 12)), corners=np.array([[0, 0], [1, 0], [0.5, 2]]),
    )  # fmt: skip
    drawing = plane(found, 2, SETTING)
    surface, seen = drawing.figure.axes[:2]
    assert surface.name == "3d"
    assert [text.get_text() for text in seen.texts] == ["A", "B", "C"]
    assert seen.get_title(loc="left") == "n = 120 points"
    assert drawing.caption.startswith("Plane 2 through three model-generated activations")
    assert "Model: tiny" in drawing.caption


def test_a_surface_is_seen_from_where_its_marks_stand_apart() -> None:
    # From the usual side the second mark hides the third.
    corners = np.array([[0, 0], [2, 0], [2 - 1 / np.sqrt(3), 1]])
    places = np.linspace(-1, 2, 12)
    drawing = plane(PlaneMap(places, places, np.ones((12, 12)), corners), 1, SETTING)
    surface = drawing.figure.axes[0]
    assert surface.azim != -60
    turned = np.deg2rad(surface.azim)
    across = np.sort(corners @ [-np.sin(turned), np.cos(turned)])
    assert np.diff(across).min() > 0.2
    # The marks stand on the surface.
    assert {line.get_data_3d()[2][0] for line in surface.lines} == {1.0}


def test_triangles_ring_the_most_sensitive_target_and_leave_out_the_undefined() -> None:
    weights = barycentric(4).numpy()
    angles = GENERATOR.uniform(20, 40, len(weights))
    angles[[0, 3]] = 5, np.nan
    rows = [
        [TriangleMap(f"base {i}", ("a", "b", "c"), weights, angles) for i in range(2)]
        for _ in range(2)
    ]
    drawing = triangles(rows, 0.5, SETTING)
    ring = drawing.figure.axes[0].lines[0]
    np.testing.assert_allclose(ring.get_xydata(), [[0.5, np.sqrt(3) / 2]])
    assert "left white: 4 targets" in drawing.caption
    assert "n = 15 interpolated targets" in drawing.caption
    nothing = TriangleMap("base 1", ("a", "b", "c"), weights, np.full(len(weights), np.nan))
    drawing = triangles([[nothing]], 0.5, SETTING)
    assert "left white: 15 targets" in drawing.caption
    drawing.figure.draw_without_rendering()


def test_bands_leave_out_curves_with_gaps() -> None:
    curves = np.tile(np.linspace(0, 1, 11), (9, 1)) * np.arange(1, 10)[:, None]
    curves[8, 5] = np.nan
    spread = Spread.of(curves)
    assert spread.n == 8
    np.testing.assert_allclose(spread.middle, np.linspace(0, 4.5, 11))
    assert Spread.of(np.full((3, 4), np.nan)).n == 0
    panel = BandPanel("sphere", "angle (degrees)", "KL (nats)", np.linspace(0, 180, 11),
                      {"real": spread}, 0.5)  # fmt: skip
    drawing = curve_bands([[panel]], "Curves.", SETTING)
    assert drawing.figure.axes[0].get_title(loc="left") == "sphere, n = 8"
    assert "n = 8 curves per kind" in drawing.caption
    assert "Dotted: 0.5 nats" in drawing.caption


def test_single_curves_are_a_line_each() -> None:
    curves = np.tile(np.linspace(0, 1, 11), (4, 1))
    panel = BandPanel("sphere", "angle (degrees)", "KL (nats)", np.linspace(0, 180, 11),
                      singles={"real": curves, "random": curves[:3]})  # fmt: skip
    drawing = single_curves([[panel]], "Curves.", SETTING)
    assert len(drawing.figure.axes[0].lines) == 7
    assert drawing.figure.axes[0].get_title(loc="left") == "sphere, n = 3-4"
    assert "Each line is one path, n = 3-4 per kind and panel." in drawing.caption


def test_crossings_count_those_that_never_do() -> None:
    kinds = ["real_difference", "cov_random_difference"]
    drawing = crossing_distributions(
        [crossings(kinds)], [("real_difference", "cov_random_difference")], "Where.", SETTING
    )
    assert "Never cross: 1 of real difference (sphere)" in drawing.caption
    assert "n = 59 real difference, 60 cov-random difference" in drawing.caption
    titles = {ax.get_title(loc="left") for ax in drawing.figure.axes}
    assert titles == {"sphere, n = 59-60"}
    shares = drawing.figure.axes[1].lines[0].get_ydata()
    # One of 59 never crosses: the line ends below 1.
    assert max(shares) == pytest.approx(58 / 59)
    many = crossing_shares([crossings(kinds)], "Where.", SETTING)
    assert "n = 59-60 paths per kind" in many.caption


def drawn_by_count() -> Drawing:
    panel = CountPanel("sphere", "crossing (degrees)", (1, 2), {"added": [(3, 2, 4), (4, 3, 5)]},
                       {"real": (5, 4, 6)})  # fmt: skip
    return by_count([panel, panel], "latents", "n = 7 bases.", SETTING)


def drawn_changes() -> Drawing:
    values = {"random": np.array([1.0, np.nan]), "real": np.array([2.0, 3.0])}
    return changes([ChangePanel("crossing", values, values)], "Before and after.", SETTING)


def test_small_figures_say_what_they_show() -> None:
    assert "95% bootstrap intervals" in drawn_by_count().caption
    assert "Not shown, as they never cross: 1." in drawn_changes().caption
    assert drawn_changes().figure.axes[0].get_title(loc="left") == "crossing, n = 1-2"
    counts = {"real": np.array([0, 5, 7]), "random": np.array([9, 9, 9])}
    drawing = count_histogram(counts, "Latents.", SETTING)
    assert drawing.figure.axes[0].get_xscale() == "log"
    assert "n = 3 per kind" in drawing.caption
    assert drawing.figure.axes[0].get_title(loc="left") == "n = 3 per kind"
