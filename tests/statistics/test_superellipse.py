"""The exponent is the published fitting routine's, and 2 where the response is a quadratic form."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from steppe.core.errors import InputError
from steppe.statistics import fit_superellipse, superellipse_exponent
from steppe.statistics.superellipse import Superellipse

ORACLE = np.load(Path(__file__).parents[1] / "data" / "superellipse.npz")
ANGLES = np.linspace(0, 60, 31)


@pytest.mark.parametrize("pair", range(len(ORACLE["l2"])))
@pytest.mark.parametrize("place", range(3))
def test_it_equals_the_published_fit(pair: int, place: int) -> None:
    threshold = ORACLE["threshold"][pair] * ORACLE["factors"][place]
    for which, normalization in enumerate(("small_angle", "geodesic")):
        found = superellipse_exponent(
            ORACLE["l2"][pair], ORACLE["angles_deg"], threshold, normalization
        )
        answer = ORACLE["answers"][pair, place, which]
        got = [found.p, *found.intercepts, found.misfit, found.points]
        np.testing.assert_allclose(got, answer, rtol=0, atol=1e-4)


def responses(p: float, first: float, second: float, sharp: float = 1.5) -> NDArray[Any]:
    """Grows with the superelliptic radius on the sphere, which is 1 at the two intercepts."""
    a, b = np.deg2rad(np.meshgrid(ANGLES, ANGLES, indexing="ij"))
    r = np.hypot(a, b)
    share = np.divide(np.sin(r), r, out=np.ones_like(r), where=r > 0)
    x = share * a / np.sin(np.deg2rad(first))
    y = share * b / np.sin(np.deg2rad(second))
    radius: NDArray[Any] = (x**p + y**p) ** (1 / p)
    return radius[None] ** sharp


@pytest.mark.parametrize("p", [1.0, 2.0, 3.0, 4.5])
def test_a_known_exponent_is_found(p: float) -> None:
    found = superellipse_exponent(responses(p, 25.0, 38.0), ANGLES, 1.0)
    assert found.p == pytest.approx(p, rel=0.01)
    assert found.intercepts == pytest.approx((25.0, 38.0), abs=0.05)
    assert found.misfit < 2e-3


def test_a_linear_model_has_the_exponent_2() -> None:
    # Moved on a sphere, read by a matrix that ignores where the base points.
    generator = np.random.default_rng(0)
    matrix = generator.normal(size=(20, 2))
    matrix[:, 1] -= matrix[:, 0] * (matrix[:, 0] @ matrix[:, 1]) / (matrix[:, 0] @ matrix[:, 0])
    a, b = np.deg2rad(np.meshgrid(ANGLES, ANGLES, indexing="ij"))
    r = np.hypot(a, b)
    share = np.divide(np.sin(r), r, out=np.ones_like(r), where=r > 0)
    moved = np.stack([share * a, share * b], axis=-1) @ matrix.T
    l2 = np.linalg.norm(moved, axis=-1)[None]
    threshold = 0.5 * min(l2[0, :, 0].max(), l2[0, 0].max())
    assert superellipse_exponent(l2, ANGLES, threshold).p == pytest.approx(2.0, abs=0.01)


def test_the_median_over_anchors_decides() -> None:
    usual, odd = responses(2.0, 20.0, 20.0), responses(4.0, 50.0, 50.0)
    alone = superellipse_exponent(usual, ANGLES, 1.0)
    assert superellipse_exponent(np.concatenate([usual, usual, odd]), ANGLES, 1.0) == alone


def test_what_is_not_reached_is_undefined() -> None:
    found = superellipse_exponent(responses(2.0, 25.0, 70.0), ANGLES, 1.0)
    assert found.intercepts[0] == pytest.approx(25.0, abs=0.05)
    assert np.isnan([found.intercepts[1], found.p, found.misfit]).all()
    assert found.points == 0
    nowhere = superellipse_exponent(np.zeros((3, 31, 31)), ANGLES, 1.0)
    assert np.isnan(nowhere.p)
    assert nowhere.points == 0


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"l2": np.zeros((31, 31))}, r"expected: \(anchor, 31, 31\)"),
        ({"l2": np.zeros((2, 31, 30))}, r"expected: \(anchor, 31, 31\)"),
        ({"l2": np.zeros((0, 31, 31))}, r"expected: \(anchor, 31, 31\)"),
        ({"angles_degrees": ANGLES[::-1]}, "each larger than the one before"),
        ({"angles_degrees": ANGLES + 1}, "from 0 on"),
        ({"angles_degrees": np.where(ANGLES[7] == ANGLES, np.nan, ANGLES)}, "each larger than"),
        ({"l2": np.full((2, 31, 31), np.nan)}, "finite numbers"),
        ({"threshold": 0.0}, "a threshold above zero"),
        ({"threshold": np.nan}, "a threshold above zero"),
        ({"normalization": "geodesics"}, "geodesic"),
    ],
)
def test_what_does_not_fit_is_refused(changes: dict[str, Any], message: str) -> None:
    asked = {"l2": responses(2.0, 20.0, 20.0), "angles_degrees": ANGLES, "threshold": 1.0}
    with pytest.raises(InputError, match=message):
        superellipse_exponent(**{**asked, **changes})


@pytest.mark.parametrize(("p", "is_at_bound"), [(3.0, False), (9.0, False), (40.0, True)])
def test_an_exponent_at_the_end_of_the_search_says_so(p: float, is_at_bound: bool) -> None:
    found = superellipse_exponent(responses(p, 25.0, 38.0), ANGLES, 1.0)
    assert found.is_at_bound is is_at_bound
    assert not Superellipse(np.nan, (np.nan, np.nan), np.nan, 0).is_at_bound


@pytest.mark.parametrize(
    ("points", "intercepts"),
    [(np.ones(6), (20.0, 20.0)), (np.ones((6, 3)), (20.0, 20.0)), (np.ones((6, 2)), (20.0, 0.0)),
     (np.ones((6, 2)), (np.nan, -1.0))],
)  # fmt: skip
def test_points_that_are_no_contour_are_refused(points: Any, intercepts: Any) -> None:
    with pytest.raises(InputError, match="points of a contour"):
        fit_superellipse(points, intercepts)
