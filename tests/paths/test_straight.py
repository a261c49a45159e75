"""Paths equal the authors', begin exactly at the base, and have the lengths they promise."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from steppe.core.errors import InputError
from steppe.core.readings import Reading
from steppe.paths.straight import absolute, relative, target_distance, target_step

ORACLE = np.load(Path(__file__).parents[1] / "data" / "authors_functions.npz", allow_pickle=False)
BASE, TARGET, STEP_SIZE = ORACLE["base"], ORACLE["structured"], float(ORACLE["step_size"])


def test_the_code_reading_is_the_authors_path() -> None:
    points = absolute(BASE, TARGET, step_size=STEP_SIZE, reading="code").numpy()
    np.testing.assert_allclose(points, ORACLE["path_absolute"], rtol=1e-6, atol=2e-6)
    points = relative(BASE, TARGET, reading="code").numpy()
    np.testing.assert_allclose(points, ORACLE["path_relative"], rtol=1e-6, atol=2e-6)


def test_the_target_step_is_the_authors() -> None:
    steps = target_step(BASE, TARGET, step_size=STEP_SIZE)
    assert steps.dtype == np.int64
    np.testing.assert_array_equal(steps, ORACLE["path_target_step"])


@pytest.mark.parametrize("reading", ["code", "text"])
def test_the_ends_are_exact(reading: Reading) -> None:
    by_length = absolute(BASE, TARGET, step_size=0.5, reading=reading).numpy()
    by_fraction = relative(BASE, TARGET, reading=reading).numpy()
    assert by_length.dtype == by_fraction.dtype == np.float32
    np.testing.assert_array_equal(by_length[:, 0], BASE)
    np.testing.assert_array_equal(by_fraction[:, 0], BASE)
    np.testing.assert_array_equal(by_fraction[:, -1], TARGET)


def test_lengths() -> None:
    points = absolute(BASE, TARGET, step_size=0.5).double()
    lengths = (points - points[:, :1]).norm(dim=2)
    torch.testing.assert_close(
        lengths, (0.5 * torch.arange(101)).double().expand(40, -1), atol=1e-4, rtol=1e-5
    )


def test_the_path_passes_through_the_target() -> None:
    base, target = np.zeros((1, 4)), np.array([[0.0, 3.0, 0.0, 4.0]])
    assert target_distance(base, target)[0] == 5
    step = target_step(base, target, step_size=0.5)[0]
    assert step == 10
    np.testing.assert_allclose(absolute(base, target, step_size=0.5)[0, step], target[0])


@settings(deadline=None)
@given(st.integers(1, 6), st.integers(2, 9), st.integers(0, 2**31))
def test_a_sample_does_not_depend_on_the_others(count: int, width: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    base, target = rng.standard_normal((2, count, width))
    for path in (partial(absolute, step_size=0.5), relative):
        assert torch.equal(path(base, target)[:1], path(base[:1], target[:1]))


def test_inputs_are_left_alone() -> None:
    base, target = torch.zeros(2, 3), torch.ones(2, 3)
    absolute(base, target, step_size=0.5)
    assert torch.equal(base, torch.zeros(2, 3))
    assert torch.equal(target, torch.ones(2, 3))


def test_a_target_at_its_base_has_no_absolute_path() -> None:
    base = np.ones((3, 4))
    target = base + np.array([[1.0], [0.0], [0.0]])
    with pytest.raises(InputError, match="2 targets that equal their base, the first is sample 1"):
        absolute(base, target, step_size=0.5)
    assert torch.equal(relative(base, base)[:, 50], torch.ones(3, 4))


@pytest.mark.parametrize(
    ("base", "target", "got"),
    [
        (np.zeros((2, 3)), np.ones((2, 4)), r"base \(2, 3\), target \(2, 4\)"),
        (np.zeros(3), np.ones(3), r"shape \(3,\)"),
        (np.zeros((1, 3)), np.full((1, 3), np.nan), "NaN or infinity in 1 rows"),
    ],
)
def test_what_is_no_path(base: object, target: object, got: str) -> None:
    with pytest.raises(InputError, match=got):
        relative(base, target)  # type: ignore[arg-type]


def test_n_points_from_base_to_target() -> None:
    points = relative(BASE, TARGET, n_points=11)
    assert points.shape == (len(BASE), 11, BASE.shape[1])
    np.testing.assert_array_equal(points[:, -1].numpy(), TARGET)
    assert absolute(BASE, TARGET, step_size=0.1, n_points=5).shape[1] == 5
