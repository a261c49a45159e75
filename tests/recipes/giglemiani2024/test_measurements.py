"""What is measured depends on a sample's own draws alone, and starts at exactly zero."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from steppe.recipes.giglemiani2024 import latents, plateaus, sensitivity
from steppe.recipes.giglemiani2024.material import Material, prepare
from steppe.recipes.giglemiani2024.outputs import BASE_KINDS, CONTEXTS, KINDS, MODES, select
from steppe.recipes.giglemiani2024.settings import Settings

Arrays = Mapping[str, NDArray[Any]]
ALL = select((), KINDS)


@pytest.fixture(scope="module")
def make_material(tiny_files: Any) -> Callable[..., Material]:
    def make(**changes: Any) -> Material:
        defaults = {
            "subject": str(tiny_files.model),
            "sae": str(tiny_files.sae),
            "prompts": str(tiny_files.prompts),
            "samples": 12,
            "device": "cpu",
        }
        return prepare(Settings(**{**defaults, **changes}))

    return make


@pytest.fixture(scope="module")
def material(make_material: Callable[..., Material]) -> Material:
    return make_material()


@pytest.fixture(scope="module")
def shard(material: Material) -> Arrays:
    return sensitivity.measure(material, ALL, range(0, 6))


def test_every_curve_starts_at_exactly_zero(shard: Arrays) -> None:
    assert not shard["l2"][..., 0].any()
    assert not shard["kl"][..., 0].any()
    np.testing.assert_allclose(shard["cosine"][..., 0], 1.0, atol=1e-6)
    assert np.isfinite(shard["l2"]).all()
    assert (shard["l2"][..., -1] > 0).all()


def test_a_sample_is_the_same_in_another_shard(material: Material, shard: Arrays) -> None:
    alone = sensitivity.measure(material, ALL, range(4, 5))
    for name in ("l2", "kl", "cosine"):
        np.testing.assert_array_equal(alone[name][:, :, 0], shard[name][:, :, 4])
    np.testing.assert_array_equal(alone["target_distance"][:, 0], shard["target_distance"][:, 4])
    np.testing.assert_array_equal(alone["tokens"][0], shard["tokens"][4])


def test_leaving_kinds_and_modes_out_changes_no_other_number(
    material: Material, shard: Arrays
) -> None:
    fewer = select(("table_1",), KINDS)
    assert fewer.modes == ("absolute",)
    some = sensitivity.measure(material, fewer, range(0, 6))
    for index, kind in enumerate(fewer.kinds):
        np.testing.assert_array_equal(some["l2"][index, 0], shard["l2"][KINDS.index(kind), 0])


def test_more_samples_change_no_other_number(
    make_material: Callable[..., Material], shard: Arrays
) -> None:
    more = sensitivity.measure(make_material(samples=30), ALL, range(0, 6))
    for name in ("l2", "kl", "base_norm", "target_distance", "tokens"):
        np.testing.assert_array_equal(more[name], shard[name])


def test_another_seed_draws_other_samples(
    make_material: Callable[..., Material], shard: Arrays
) -> None:
    other = sensitivity.measure(make_material(seed=1), ALL, range(0, 6))
    assert (other["tokens"] != shard["tokens"]).any()


def test_relative_paths_end_where_the_output_of_the_target_is(shard: Arrays) -> None:
    real = KINDS.index("real")
    at_target = shard["l2"][real, MODES.index("relative"), :, -1]
    assert (at_target > 0).all()
    # The absolute path passes the target near its step; L2 there is close to the relative end.
    steps = shard["target_step"][real]
    absolute = shard["l2"][real, MODES.index("absolute")]
    inside = steps < absolute.shape[1] - 1
    assert inside.any()
    near = absolute[np.arange(len(steps)), np.minimum(steps, absolute.shape[1] - 1)]
    np.testing.assert_allclose(near[inside], at_target[inside], rtol=0.2)


def test_plateau_contexts_differ_for_real_bases_only(material: Material) -> None:
    found = plateaus.measure(material, BASE_KINDS, range(0, 4))
    native, foreign = (found["l2"][CONTEXTS.index(context)] for context in ("native", "foreign"))
    for index, kind in enumerate(BASE_KINDS):
        assert np.array_equal(native[index], foreign[index]) == (kind != "real")
    assert not found["l2"][..., 0].any()
    assert np.isfinite(found["l2"]).all()


def test_leaving_bases_out_changes_no_other_plateau(material: Material) -> None:
    every = plateaus.measure(material, BASE_KINDS, range(0, 2))
    some = plateaus.measure(material, ("real", "random"), range(0, 2))
    for index, kind in enumerate(("real", "random")):
        np.testing.assert_array_equal(some["l2"][:, index], every["l2"][:, BASE_KINDS.index(kind)])


def test_the_seed_does_not_move_the_scales(make_material: Callable[..., Material]) -> None:
    scales = [make_material(seed=seed, moments_samples=200).scales for seed in (0, 7)]
    assert scales[0] == scales[1]


def test_latent_properties(material: Material) -> None:
    found = latents.measure(material)
    assert found["l0"].shape == (400,)
    shares = found["share"].values
    assert (np.diff(shares, axis=1)[np.isfinite(shares[:, 1:])] <= 0).all()
    assert int(found["pair_count"].sum()) == int((found["l0"] * (found["l0"] - 1) // 2).sum())


def test_the_text_reading_has_101_points(make_material: Callable[..., Material]) -> None:
    found = sensitivity.measure(make_material(reading="text"), ALL, range(0, 2))
    assert found["l2"].shape == (len(KINDS), len(MODES), 2, 101)
