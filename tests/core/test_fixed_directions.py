from __future__ import annotations

import pytest

from steppe.core.errors import InputError
from steppe.core.fixed_directions import FIXED_KINDS, fixed_direction


def test_a_name_is_taken_apart() -> None:
    found = fixed_direction("file:folder/steer.npz#happy:layer=3_against")
    assert found is not None
    assert (found.kind.name, found.source, found.name) == ("file", "folder/steer.npz", "happy")
    assert found.settings == {"layer": 3}
    assert found.is_against
    assert found.text == "file:folder/steer.npz#happy:layer=3"
    assert found.label == "file:folder/steer.npz#happy:layer=3_against"
    assert found.needs == (f"fixed:{found.text}",)


@pytest.mark.parametrize(
    ("text", "numbers"), [("pca", (1, 1)), ("pca:3", (3, 3)), ("pca:2-4", (2, 4))]
)
def test_numbers_say_which(text: str, numbers: tuple[int, int]) -> None:
    found = fixed_direction(text)
    assert found is not None
    assert found.numbers == numbers
    assert "pool" in found.needs


def test_settings_are_of_their_kind() -> None:
    found = fixed_direction("melbo:2:angle=22.5:orthogonal=no:restarts=5")
    assert found is not None
    assert (found.settings["angle"], found.settings["restarts"]) == (22.5, 5)
    assert found.settings["orthogonal"] is False
    assert found.settings["steps"] == 100
    assert found.numbered(7).text == "melbo:7:angle=22.5:orthogonal=no:restarts=5"


@pytest.mark.parametrize("text", ["isotropic", "real", "towards_zero_against", "", "PCA", "pca2"])
def test_other_names_are_left_to_others(text: str) -> None:
    assert fixed_direction(text) is None


@pytest.mark.parametrize(
    ("text", "match"),
    [
        ("pca:0", "'0' after 'pca'"),
        ("pca:x", "'x'"),
        ("pca:3-1", "'3-1'"),
        ("pca:-1", "'-1'"),
        ("file", "no source"),
        ("contrastive:#name", "no source"),
        ("melbo:1:angel=3", "'angel'.*did you mean 'angle'"),
        ("melbo:1:angle=wide", "'wide'"),
        ("melbo:1:restarts=2.5", "'2.5'.*whole number"),
        ("melbo:1:orthogonal=2", "'2'.*yes or no"),
        ("melbo:angle=nan", "'nan'"),
        ("pca:1:angle=3", "angle"),
    ],
)
def test_what_begins_as_one_and_is_none_is_refused(text: str, match: str) -> None:
    with pytest.raises(InputError, match=f"(?s){match}"):
        fixed_direction(text)


def test_every_kind_says_what_it_is() -> None:
    for name, kind in FIXED_KINDS.items():
        assert kind.name == name
        assert len(kind.description) > 20
