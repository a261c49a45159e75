from __future__ import annotations

import numpy as np
import pytest
import torch

from steppe.core.errors import InputError
from steppe.paths import PATHS, Ends, PathKind, lay_path, relative, sphere, straight

GENERATOR = torch.Generator().manual_seed(0)
BASE = torch.randn(5, 16, generator=GENERATOR)
TARGET = torch.randn(5, 16, generator=GENERATOR)
CENTER = torch.randn(16, generator=GENERATOR) / 4
ENDS = Ends(BASE, TARGET, CENTER, centered=False)


@pytest.mark.parametrize("name", list(PATHS))
def test_every_path_begins_at_the_base_bit_for_bit(name: str) -> None:
    points = lay_path(name, ENDS, 7)
    assert points.shape == (5, 7, 16)
    assert points.dtype == torch.float32
    assert torch.equal(points[:, 0], BASE)


@pytest.mark.parametrize("name", ["linear", "slerp"])
def test_it_ends_at_the_target(name: str) -> None:
    torch.testing.assert_close(lay_path(name, ENDS, 7)[:, -1], TARGET)


def test_linear_straight_and_sphere_are_the_functions_of_their_name() -> None:
    torch.testing.assert_close(lay_path("linear", ENDS, 101), relative(BASE, TARGET, n_points=101))
    for name, function in (("straight", straight), ("sphere", sphere)):
        expected = function(BASE, TARGET - BASE, n_points=21, mean_free=False)
        torch.testing.assert_close(lay_path(name, ENDS, 21), expected, atol=1e-5, rtol=1e-5)


def test_an_arc_keeps_its_distance_from_the_mean_and_heads_for_the_target() -> None:
    points = lay_path("arc", ENDS, 11).double() - CENTER
    radius = (BASE - CENTER).double().norm(dim=1)
    torch.testing.assert_close(points.norm(dim=2), radius[:, None].expand(5, 11))
    ends = points[:, -1] / points[:, -1].norm(dim=1, keepdim=True)
    towards = (TARGET - CENTER).double()
    torch.testing.assert_close(ends, towards / towards.norm(dim=1, keepdim=True))


def test_a_slerp_turns_evenly_and_its_norm_changes_evenly() -> None:
    points = lay_path("slerp", ENDS, 5).double()
    norms = points.norm(dim=2).numpy()
    even = np.linspace(0, 1, 5)
    expected = (1 - even) * norms[:, :1] + even * norms[:, -1:]
    np.testing.assert_allclose(norms, expected, rtol=1e-6)
    units = points / points.norm(dim=2, keepdim=True)
    turns = torch.arccos((units[:, 1:] * units[:, :-1]).sum(-1))
    torch.testing.assert_close(
        turns, turns.mean(1, keepdim=True).expand_as(turns), rtol=1e-5, atol=0
    )


def test_a_slerp_between_parallel_ends_is_the_line() -> None:
    ends = Ends(BASE, 3 * BASE)
    torch.testing.assert_close(lay_path("slerp", ends, 4), lay_path("linear", ends, 4))


def test_an_arc_without_a_mean_is_refused() -> None:
    with pytest.raises(InputError, match="no centre"):
        lay_path("arc", Ends(BASE, TARGET), 5)


@pytest.mark.parametrize(
    ("lay", "match"),
    [
        (
            lambda ends, fractions: ends.target[:, None].expand(-1, len(fractions), -1),
            "first point",
        ),
        (lambda ends, fractions: ends.base, "shape"),
    ],
)
def test_a_path_of_ones_own_is_checked(lay: object, match: str) -> None:
    PATHS.add(PathKind("wrong", "a wrong one", lay))  # type: ignore[arg-type]
    with pytest.raises(InputError, match=match):
        lay_path("wrong", ENDS, 5)
    PATHS._entries.pop("wrong")
