from __future__ import annotations

from pathlib import Path

import pytest
import torch

from steppe.core.errors import InputError
from steppe.directions import DirectionSet, from_file, joined
from steppe.models import Model

ROWS = torch.tensor([[3.0, 4.0, 0.0], [0.0, 0.0, -2.0]])


def test_vectors_are_scaled_to_length_1_and_their_own_lengths_are_kept() -> None:
    found = DirectionSet.of(["a", "b"], ROWS, "here", [{"sign": "up"}, {}])
    torch.testing.assert_close(found.vectors, torch.tensor([[0.6, 0.8, 0], [0, 0, -1]]))
    assert found.facts[0] == {"sign": "up", "length": 5.0}
    assert found.facts[1]["length"] == 2.0
    assert len(found) == 2


def test_selecting_turning_round_and_joining() -> None:
    found = DirectionSet.of(["a", "b"], ROWS, "here")
    assert found.select("b", "a").names == ("b", "a")
    torch.testing.assert_close(found.select("b").vectors, found.vectors[1:])
    assert found.against.names == ("a_against", "b_against")
    torch.testing.assert_close(found.against.vectors, -found.vectors)
    assert joined([found, found.against]).names == ("a", "b", "a_against", "b_against")
    assert found.for_bases(5).shape == (5, 2, 3)
    with pytest.raises(InputError, match="'c'"):
        found.select("c")


def test_the_hash_is_of_the_vectors() -> None:
    found = DirectionSet.of(["a", "b"], ROWS, "here")
    assert found.sha256 == DirectionSet.of(["x", "y"], 2 * ROWS, "there").sha256
    assert found.sha256 != found.against.sha256


@pytest.mark.parametrize(
    ("names", "rows", "match"),
    [
        (["a"], [[0.0, 0.0]], "'a'.*zero vector"),
        (["a", "b"], [[1.0, 0.0], [float("nan"), 1.0]], "'b'.*NaN"),
        (["a"], [[float("inf"), 1.0]], "infinity"),
        (["a", "a"], [[1.0, 0.0], [0.0, 1.0]], "'a' twice"),
        (["a", ""], [[1.0, 0.0], [0.0, 1.0]], "empty name"),
        (["a"], [1.0, 0.0], r"\(2,\)"),
        (["a", "b"], [[1.0, 0.0]], "2 names"),
        ([], torch.empty(0, 2), r"\(0, 2\)"),
    ],
)
def test_what_is_no_direction_is_refused(names: list[str], rows: object, match: str) -> None:
    with pytest.raises(InputError, match=f"(?s){match}"):
        DirectionSet.of(names, rows, "here")  # type: ignore[arg-type]


def test_centred_coordinates_hold_mean_free_directions(model: Model) -> None:
    vector = torch.arange(float(model.d_model))[None]
    found = DirectionSet.of(["a"], vector, "here").in_coordinates(model, "here")
    centred = vector - vector.mean()
    torch.testing.assert_close(found.vectors, centred / centred.norm())


def test_directions_that_a_model_cannot_have_are_refused(model: Model) -> None:
    with pytest.raises(InputError, match="width 3"):
        DirectionSet.of(["a", "b"], ROWS, "here").in_coordinates(model, "here")
    equal = DirectionSet.of(["a"], torch.ones(1, model.d_model), "here")
    with pytest.raises(InputError, match=r"(?s)'a'.*all equal"):
        equal.in_coordinates(model, "here")


@pytest.mark.parametrize(
    "names", [("pca:1", "b"), ("3", "7"), ("names", "steering_vector"), ("vectors", "facts")]
)
def test_a_saved_set_is_read_back(tmp_path: Path, names: tuple[str, str]) -> None:
    found = DirectionSet.of(names, ROWS, "here", [{"sign": "up"}, {"spread": 0.5}])
    back = from_file(found.save(tmp_path / "saved.safetensors"))
    assert back.names == names
    torch.testing.assert_close(back.vectors, found.vectors)
    assert back.facts[0]["sign"] == "up"
    assert back.facts[1]["spread"] == 0.5
    assert back.facts[0]["file"] == "saved.safetensors"
    # The lengths that the directions had when they were first given.
    assert (back.facts[0]["length"], back.facts[1]["length"]) == (5.0, 2.0)


def test_a_small_mean_does_not_stay(model: Model) -> None:
    vector = torch.zeros(1, model.d_model)
    vector[0, :2] = torch.tensor([1.0, -1.0])
    slightly = DirectionSet.of(["a"], vector + 3e-6, "here").in_coordinates(model, "here")
    assert float(slightly.vectors.double().mean().abs()) < 1e-9
    again = slightly.in_coordinates(model, "here")
    assert torch.equal(again.vectors, slightly.vectors)
