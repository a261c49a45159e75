"""What is measured depends on a sample's own draws alone, and is exactly zero at length 0."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from steppe.recipes.lee2024.material import Material
from steppe.recipes.lee2024.measuring import measure_directions, measure_substitutions
from steppe.recipes.lee2024.plan import Series

Arrays = Mapping[str, NDArray[Any]]
HERE = "blocks.1.hook_resid_pre"
READOUTS = ("kl", "loss_increase", "kl_with_first", "loss_increase_with_first")


@pytest.fixture(scope="module")
def shard(material: Material) -> Arrays:
    return measure_directions(material, range(0, 3))


def test_length_zero_is_exactly_zero(shard: Arrays) -> None:
    for name in READOUTS:
        assert not shard[name][..., 0].any()
    assert not shard["crossed"][..., 0].any()
    assert np.isfinite(shard["kl"]).all()
    assert (shard["kl"][..., -1] > 0).all()


def test_a_sample_is_the_same_in_another_shard(material: Material, shard: Arrays) -> None:
    alone = measure_directions(material, range(2, 3))
    for name in (*READOUTS, "kl_quantile"):
        np.testing.assert_array_equal(alone[name][:, 0], shard[name][:, 2])
    np.testing.assert_array_equal(alone["tokens"][0], shard["tokens"][2])


def test_fewer_parts_and_saes_change_no_other_number(
    make_material: Callable[..., Material], material: Material, shard: Arrays
) -> None:
    fewer = make_material(only=["baselines"], samples=4)
    found = measure_directions(fewer, range(0, 3))
    for index, series in enumerate(fewer.plan.directions):
        place = material.plan.directions.index(series)
        np.testing.assert_array_equal(found["kl"][index], shard["kl"][place])


def test_blends_begin_at_the_difference_and_end_at_the_mixture(
    material: Material, shard: Arrays
) -> None:
    def mean(kind: str) -> float:
        place = material.plan.directions.index(Series(kind, HERE))
        return float(shard["kl"][place, :, 2].mean())

    order = ["real_difference", "real_blend_0.25", "real_blend_0.75", "real_mixture"]
    low, high = sorted([mean(order[0]), mean(order[-1])])
    assert all(0.5 * low < mean(kind) < 2 * high for kind in order)


def test_the_error_at_its_own_length_is_the_substitution(
    make_material: Callable[..., Material],
) -> None:
    """With one length, that of the first token's error, both move that token to one point."""
    material = make_material(positions="last")
    found = measure_substitutions(material, range(0, 1))
    place = material.plan.substitutions.index(Series("sae", HERE, "dense"))
    length = float(found["distance"][place, 0]) / material.scale
    again = make_material(positions="last", lengths=[length])
    curves = measure_directions(again, range(0, 1))
    error = again.plan.directions.index(Series("sae_error", HERE, "dense"))
    np.testing.assert_allclose(curves["kl"][error, 0, 1], found["kl"][place, 0], rtol=1e-3)
    np.testing.assert_allclose(
        curves["loss_increase"][error, 0, 1], found["loss_increase"][place, 0], rtol=1e-3, atol=1e-6
    )


def test_the_first_activation_is_kept_or_replaced(make_material: Callable[..., Material]) -> None:
    kept = measure_substitutions(make_material(), range(0, 2))
    replaced = measure_substitutions(make_material(first_position="replaced"), range(0, 2))
    np.testing.assert_array_equal(kept["distance"], replaced["distance"])
    assert (kept["kl"] != replaced["kl"]).any()


def test_sequences_get_their_first_token(material: Material) -> None:
    assert (material.prompts.tokens[:, 0] == material.subject.bos_token_id).all()
    assert material.prompts.tokens.shape[1] == 10


def test_saes_are_known_by_what_they_were_trained_for(material: Material) -> None:
    families = {label: used.facts.family for label, used in material.saes.items()}
    assert families == {"dense": "local", "later": "local", "sparse": "local", "trained": "e2e"}
    assert material.saes["sparse"].facts.l0 < material.saes["dense"].facts.l0
    assert {used.facts.dead for used in material.saes.values()} == {4}
