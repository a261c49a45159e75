from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from steppe.core.errors import InputError
from steppe.paths import Plane, barycentric, family_of, interpolate, sphere, straight

WIDTH = 24


def vectors(seed: int, rows: int = 5) -> torch.Tensor:
    drawn = torch.randn(rows, WIDTH, generator=torch.Generator().manual_seed(seed)) * 7
    return drawn - drawn.mean(dim=1, keepdim=True)


@settings(max_examples=50, deadline=None)
@given(seed=st.integers(0, 10_000), n_points=st.integers(2, 181))
def test_the_sphere_keeps_the_norm_and_ends_at_the_antipode(seed, n_points):
    base, displacement = vectors(seed), vectors(seed + 1)
    points = sphere(base, displacement, n_points=n_points)
    norm = base.norm(dim=1)
    assert torch.equal(points[:, 0], base)
    torch.testing.assert_close(points[:, -1], -base, rtol=0, atol=1e-5 * float(norm.max()))
    relative = points.norm(dim=2) / norm[:, None] - 1
    assert float(relative.abs().max()) < 1e-5
    angles = torch.rad2deg(torch.arccos(torch.cosine_similarity(
        points.double(), base.double()[:, None], dim=2).clamp(-1, 1)))  # fmt: skip
    expected = torch.linspace(0, 180, n_points).double()
    torch.testing.assert_close(angles, expected.expand_as(angles), rtol=0, atol=0.05)


def test_displacement_target_and_direction_give_the_same_circle():
    base, target = vectors(0), vectors(1)
    circle = sphere(base, target)
    torch.testing.assert_close(circle, sphere(base, target - base))
    torch.testing.assert_close(circle, sphere(base, 0.01 * (target - base)))
    # It heads for the target: at the angle between the two, the direction is the target's.
    angle = torch.rad2deg(torch.arccos(torch.cosine_similarity(base, target)))
    family = family_of("sphere", base, target)
    met = family.at(torch.arange(5), angle)
    torch.testing.assert_close(
        torch.cosine_similarity(met, target), torch.ones(5), rtol=0, atol=1e-5
    )


def test_a_straight_displacement_is_mean_free_and_as_long_as_the_base():
    base, displacement = vectors(2), vectors(3) + 5.0
    points = straight(base, displacement)
    moved = points - base[:, None]
    assert torch.equal(points[:, 0], base)
    torch.testing.assert_close(moved[:, -1].norm(dim=1), base.norm(dim=1))
    torch.testing.assert_close(moved[:, 50], moved[:, -1] / 2)
    assert float(moved.mean(dim=2).abs().max()) < 1e-5
    raw = straight(base, displacement, mean_free=False)[:, -1] - base
    assert float(raw.mean(dim=1).abs().min()) > 1


def test_single_points_are_those_of_the_whole_path():
    family = family_of("sphere", vectors(4), vectors(5))
    paths, steps = torch.tensor([3, 0, 3]), torch.tensor([17, 90, 0])
    positions = family.grid(101)[steps]
    assert torch.equal(family.at(paths, positions), family.points(101)[paths, steps])


def test_a_displacement_along_the_base_has_no_direction_on_the_sphere():
    base = vectors(6)
    displacement = vectors(7)
    displacement[2] = -3 * base[2]
    family = family_of("sphere", base, displacement)
    assert family.is_defined.tolist() == [True, True, False, True, True]
    assert family_of("straight", base, displacement).is_defined.all()


def test_a_mode_that_is_none_is_refused():
    with pytest.raises(InputError, match="straight, sphere"):
        family_of("spiral", vectors(0), vectors(1))


@settings(max_examples=50, deadline=None)
@given(seed=st.integers(0, 10_000))
def test_a_plane_hits_its_three_activations(seed):
    activations = vectors(seed, 3)
    plane = Plane.through(activations)
    torch.testing.assert_close(plane.at(plane.corners), activations, rtol=0, atol=1e-4)
    torch.testing.assert_close(
        torch.cdist(plane.corners, plane.corners).float(),
        torch.cdist(activations, activations),
        rtol=1e-3, atol=1e-3,
    )  # fmt: skip
    first, second = plane.grid(11)
    inside = (plane.corners[:, 0] > first[0]) & (plane.corners[:, 0] < first[-1])
    assert inside.all()
    assert ((plane.corners[:, 1] > second[0]) & (plane.corners[:, 1] < second[-1])).all()


def test_three_activations_on_a_line_span_no_plane():
    line = torch.stack([vectors(0)[0] * k for k in (1.0, 2.0, 5.0)])
    with pytest.raises(InputError, match="three on one line"):
        Plane.through(line)
    with pytest.raises(InputError, match="2 activations"):
        Plane.through(line[:2])


def test_a_triangle_has_its_corners_and_all_between():
    weights = barycentric(12)
    assert len(weights) == 91
    np.testing.assert_allclose(weights.sum(dim=1), 1)
    assert (weights >= 0).all()
    assert len({tuple(row) for row in weights.tolist()}) == 91
    corners = vectors(8, 3)
    targets = interpolate(corners, weights)
    for corner, place in ((0, 0), (1, 78), (2, 90)):
        assert weights[place, corner] == 1
        assert torch.equal(targets[place], corners[corner])
    assert torch.equal(barycentric(1), torch.eye(3).double())
    with pytest.raises(InputError, match="from 1 on"):
        barycentric(0)
