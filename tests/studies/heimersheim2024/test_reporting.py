"""Tables, claims and figures from numbers that are given: what decides, and what may be missing."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import xarray as xr

from steppe.studies.heimersheim2024 import quantities
from steppe.studies.heimersheim2024.claims import CLAIMS
from steppe.studies.heimersheim2024.names import INWARD, NEIGHBOURS, RING
from steppe.studies.heimersheim2024.settings import Settings
from steppe.study import Analysis

SPHERE = np.linspace(0, 180, 19)
INFINITY = np.inf


def analysis_of(**parts: xr.Dataset) -> Analysis:
    run: Any = SimpleNamespace(datasets=lambda: list(parts), dataset=parts.__getitem__)
    return Analysis(run, Settings())


def curves(values: Any, name: str, **labels: str) -> xr.Dataset:
    """Sphere-mode curves ``(sample, step)`` of one kind, as a dataset of the study."""
    data = np.asarray(values, dtype=np.float64)
    for _ in labels:
        data = data[None]
    return xr.Dataset(
        {name: ((*labels, "sample", "step"), data)},
        coords={
            **{dim: [label] for dim, label in labels.items()},
            "sphere_position": ("step", SPHERE),
        },
    )


def test_levels_are_crossed_between_grid_points_and_never_is_later_than_any() -> None:
    values = np.stack([SPHERE / 180, SPHERE / 900, np.full(19, np.nan)])
    np.testing.assert_allclose(
        quantities.level_crossings(SPHERE, values, 0.5), [90, INFINITY, np.nan]
    )


def test_half_of_the_rise_is_the_curves_own() -> None:
    found = analysis_of(
        controls=curves(
            [np.minimum(SPHERE, 60) * 7, np.zeros(19)],
            "l2_normalized", control="last_layer", kind="isotropic", mode="sphere",
        )
    )  # fmt: skip
    at = {"control": "last_layer", "kind": "isotropic", "mode": "sphere"}
    rises = quantities.half_rises(at)(found)
    np.testing.assert_allclose(rises, [30, np.nan])


def test_a_mean_response_reaches_to_a_right_angle() -> None:
    found = analysis_of(plateaus=curves([SPHERE], "kl", kind="real", mode="sphere"))
    response = quantities.responses("plateaus", "kl", {"kind": "real", "mode": "sphere"})
    assert response(found) == [45]


def families(corner: float, *others: float) -> Analysis:
    """One base and family: the corner crosses at ``corner``, its neighbours at ``others``."""
    angles = np.array([corner, *others, *[99.0] * (len(NEIGHBOURS) - 1 - len(others))])
    dims = ("kind", "sample", "family", "neighbour")
    crossing = np.where(np.isinf(angles), np.nan, angles)[None, None, None]
    return analysis_of(
        optima=xr.Dataset(
            {"crossing": (dims, crossing), "censored": (dims, np.isinf(angles)[None, None, None])},
            coords={"kind": ["real"], "neighbour": list(NEIGHBOURS)},
        )
    )


@pytest.mark.parametrize(
    ("angles", "inward", "ring"),
    [
        ((20, 30, 30, 30, 30), 1, 1),
        ((20, 30, 19, 30, 30), 0, 1),
        ((20, 30, 30, 30, 19), 1, 0),
        ((20, 20, 30, 30, 30), 0, 1),
        ((20, INFINITY, INFINITY, INFINITY, 30), 1, 1),
        ((INFINITY, 30, 30, 30, 30), np.nan, np.nan),
        ((np.nan, 30, 30, 30, 30), np.nan, np.nan),
    ],
)
def test_a_corner_is_an_optimum_where_all_its_neighbours_cross_later(
    angles: tuple[float, ...], inward: float, ring: float
) -> None:
    found = families(*angles)
    np.testing.assert_array_equal(quantities.optima("real", INWARD)(found), [[inward]])
    np.testing.assert_array_equal(quantities.optima("real", RING)(found), [[ring]])


def test_bases_are_won_by_their_medians() -> None:
    first = np.array([[1, 2, 9], [5, 5, 5], [INFINITY] * 3, [np.nan] * 3])
    second = np.array([[3, 3, 3], [1, 1, 9], [INFINITY] * 3, [1, 1, 1]])
    np.testing.assert_array_equal(quantities.bases_earlier(first, second), [1, 0, 0.5, np.nan])


def columns(*values: list[float]) -> dict[str, Any]:
    return {name: np.array(one) for name, one in zip(("first", "second"), values, strict=False)}


EARLY, LATE = [10.0, 20.0], [30.0, INFINITY]


@pytest.mark.parametrize(
    ("claim", "values", "number"),
    [
        ("HM1a", columns([0, 1, 1, np.nan]), 2 / 3 - 0.5),
        ("HM1b", columns([1, 0, 1]), 2 / 3 - 0.5),
        ("HM3a", columns(EARLY, LATE), 0.5),
        ("HM3a", columns(LATE, EARLY), -0.5),
        ("HM3c", columns([1, 0, 0.5, np.nan]), 0),
        ("HM5", columns(EARLY, EARLY), np.log(0.5 / 0.05)),
        ("HM5", columns([1, 2, 3, 4, 9], [5, 6, 7, 8, 9.5]), np.log(0.16 / 0.05)),
        ("HM6a", columns([1, 1, 0, np.nan]), 2 / 3 - 0.5),
        ("HM6c", columns([0, 0.5], [0.5, 1]), 0.5),
        ("HM6d", columns([40, 30, INFINITY, 177], [43, 31, INFINITY, INFINITY]), 1 - 7 / 4),
        ("HM7", columns([100, 100]), 1),
        ("HM7", columns([1000, 1000]), 0),
        ("HM8", columns([10] * 50 + [1000] * 50), np.log(3.92)),
        ("HM9b", columns(EARLY, EARLY), 0.1),
        ("HM9b", columns(LATE, EARLY), -0.4),
        ("HM9b", columns(EARLY, LATE), -0.4),
        ("HP4", columns([10, 20, INFINITY], [20, 10, INFINITY]), 0),
        ("HP6", columns([0.5, 0.5], [0.75, 0.75]), 0.25),
    ],
)
def test_the_number_of_a_claim_is_positive_where_it_holds(
    claim: str, values: dict[str, Any], number: float
) -> None:
    assert number_of(claim, values) == pytest.approx(number)


def number_of(id_: str, values: dict[str, Any]) -> float:
    [claim] = [one for one in CLAIMS if one.id == id_]
    return claim.decide(values).number


def test_a_base_is_flat_beyond_a_bound_or_left_before_another() -> None:
    left = {"real": [30.0, 50.0, 200.0], "random": [10.0, 60.0, 20.0]}
    kl = [[np.where(at <= SPHERE, 1.0, 0.0) for at in rows] for rows in left.values()]
    dataset = xr.Dataset(
        {"kl": (("kind", "mode", "sample", "step"), np.array(kl)[:, None])},
        coords={"kind": [*left], "mode": ["sphere"], "sphere_position": ("step", SPHERE)},
    )
    found = analysis_of(plateaus=dataset)
    claims = {claim.id: claim for claim in CLAIMS}
    np.testing.assert_array_equal(claims["HM1a"].values(found)["first"], [0, 1, 1])
    np.testing.assert_array_equal(claims["HM1b"].values(found)["first"], [1, 0, 1])


def test_plateaus_are_compared_up_to_the_mean_crossing_of_all_bases() -> None:
    values = {
        "first": np.stack([SPHERE, SPHERE]),
        "second": np.stack([3 * SPHERE, 5 * SPHERE]),
        "first_crossing": np.array([90.0, INFINITY]),
        "second_crossing": np.array([20.0, 30.0]),
    }
    # The mean of 90, 180 (never), 20 and 30 is 80; a straight line's mean so far is half of it.
    assert number_of("HM2a", values) == pytest.approx(4 * 40 - 40)
    first, second, first_crossing, second_crossing = values.values()
    swapped = zip(values, (second, first, second_crossing, first_crossing), strict=True)
    assert number_of("HM2a", dict(swapped)) == pytest.approx(40 - 4 * 40)


def test_a_gap_that_is_smaller_in_the_control() -> None:
    apart, alike = columns(EARLY, LATE), columns(EARLY, EARLY)
    there = {f"{name}_at": values for name, values in alike.items()}
    assert number_of("HM9a", apart | there) == 0.5
    there = {f"{name}_at": values for name, values in apart.items()}
    assert number_of("HM9a", alike | there) == -0.5
