"""Planes and triangles on a run's page, by value, with what spans them, within their size."""

from __future__ import annotations

import base64

import numpy as np
from tests.reports.page.conftest import HOSTILE, TOKENS, planes_of, triangles_of

from steppe.reports.page.maps import BUDGET, map_sets


def test_values_and_places_are_those_of_the_dataset() -> None:
    data = planes_of()
    [made] = map_sets({"planes": data, "none": data[["tokens"]]}, TOKENS)
    assert (made["rows"], made["columns"], made["views"]) == (4, 5, ["base", "second", "third"])
    whole = np.frombuffer(base64.b64decode(made["values"]["values"]), "<u2").reshape(2, 3, 4, 5)
    low, width = (
        np.frombuffer(base64.b64decode(made["values"][name]), "<f4").reshape(2, 3, 1, 1)
        for name in ("low", "width")
    )
    found = np.where(whole == 65535, np.nan, low + whole / 65534 * width)
    np.testing.assert_allclose(found, data["kl"].transpose("sample", "corner", "row", "column"),
                               atol=1e-3)  # fmt: skip
    assert made["x"][1] == data["first"].values[1].tolist()
    assert made["y"][0] == data["second"].values[0].tolist()
    assert made["at"][1][2] == [1.0, 3.0]
    assert made["prompts"] == [" the sea", " sea sea"]


def test_as_many_planes_are_kept_as_fit() -> None:
    [made] = map_sets({"planes": planes_of(4000)}, TOKENS)
    assert 10 < len(made["samples"]) < 4000
    assert made["of"] == 4000
    assert len(base64.b64decode(made["values"]["values"])) <= BUDGET


def test_a_grid_without_places_or_corners_is_a_plane_too() -> None:
    data = planes_of().isel(corner=0, drop=True)[["kl"]]
    [made] = map_sets({"grid": data}, {})
    assert made["x"] is None is made["y"] is made["at"]
    assert made["views"] == [""]
    assert made["prompts"] == []


def test_a_triangle_has_its_weights_kinds_and_the_prompts_of_its_corners() -> None:
    data = triangles_of()
    [made] = map_sets({"triangles": data}, TOKENS)
    assert made["weights"] == data["weights"].values.tolist()
    assert (made["by"], made["views"], made["samples"]) == ("kind", ["real", "random"], [7, 8])
    whole = np.frombuffer(base64.b64decode(made["values"]["values"]), "<u2").reshape(2, 2, 6)
    assert whole[0, 1, 4] == 65535
    assert (whole == 65535).sum() == 1
    assert made["corner_prompts"] == [
        [[" sea sea", "", ""], ["", "", ""]],
        [[f" the{HOSTILE}", "", ""], ["", "", ""]],
    ]


def test_a_planes_corners_have_their_prompts() -> None:
    tokens = np.arange(12).reshape(2, 3, 2) % 2
    data = planes_of().assign(corner_tokens=(("sample", "corner", "position"), tokens))
    [made] = map_sets({"planes": data}, TOKENS)
    assert made["corner_prompts"] == [[[" the sea"] * 3]] * 2
    assert map_sets({"planes": planes_of()}, TOKENS)[0]["corner_prompts"] is None
