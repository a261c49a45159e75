"""What a page holds of curves, by value: means of all, curves of some, within its size."""

from __future__ import annotations

import base64
import json
from typing import Any

import numpy as np
import pytest
import xarray as xr
from tests.reports.page.conftest import TOKENS, curves_of

from steppe.reports.page.curves import BUDGET, MOST, curve_sets, spread


def floats(text: str) -> Any:
    return np.frombuffer(base64.b64decode(text), dtype="<f4")


def unpacked(metric: dict[str, Any], shape: tuple[int, ...]) -> Any:
    """Curves as the page's script reads them."""
    packed = metric["curves"]
    whole = np.frombuffer(base64.b64decode(packed["values"]), dtype="<u2").reshape(*shape)
    low, width = (floats(packed[name]).reshape(shape[:-1])[..., None] for name in ("low", "width"))
    return np.where(whole == 65535, np.nan, low + whole / 65534 * width)


def test_curves_means_and_numbers_are_those_of_the_dataset() -> None:
    data = curves_of()
    [made] = curve_sets({"curves": data}, TOKENS)
    assert [facet["name"] for facet in made["facets"]] == ["mode", "kind"]
    assert [facet["labels"] for facet in made["facets"]][1] == ["Model-generated", "Random"]
    l2, cosine = made["metrics"]
    assert (l2["name"], cosine["name"]) == ("l2", "cosine")
    expected = data["l2"].transpose("mode", "kind", "sample", "step").values
    np.testing.assert_allclose(unpacked(l2, expected.shape), expected, atol=1e-4)
    np.testing.assert_allclose(floats(l2["mean"]), expected.mean(axis=2).ravel(), rtol=1e-6)
    np.testing.assert_allclose(
        floats(l2["high"]), np.quantile(expected, 0.9, axis=2).ravel(), rtol=1e-5, atol=1e-6
    )
    places = 3 + np.arange(2)[:, None] * 5 + np.arange(12) % 4
    for metric in (l2, cosine):  # the cosine falls where the distance rises
        slope = floats(metric["numbers"][0]["values"]).reshape(2, 2, 12)
        assert (np.abs(slope - places) <= 1).all()
    np.testing.assert_allclose(floats(l2["numbers"][1]["values"]), expected[..., -1].ravel())


def test_cards_name_the_prompt_and_what_is_known_of_the_sample() -> None:
    [made] = curve_sets({"curves": curves_of()}, TOKENS)
    card = made["cards"][1]
    assert card["sample"] == 101
    assert card["tokens"] == [" the", " sea"]
    assert dict(card["facts"])["base norm"] == 41.0
    assert dict(card["facts"])["target distance (Random)"] == 7.0
    # Nothing turns the writing around or rings a bell; an unknown token is its number.
    assert made["cards"][3]["tokens"][1] == "\\u202egnol\\x07"
    [unknown] = curve_sets({"curves": curves_of()}, {})
    assert unknown["cards"][1]["tokens"] == ["[0]", "[1]"]
    assert made["positions"]["linear"]["values"][-1] == 1.0


def test_undefined_values_stay_undefined() -> None:
    data = curves_of()
    data["l2"][0, 0, 2, 5:] = np.nan
    data["l2"][1, 1] = np.nan
    [made] = curve_sets({"curves": data}, TOKENS)
    found = unpacked(made["metrics"][0], (2, 2, 12, 21))
    assert np.isnan(found[0, 0, 2, 5:]).all()
    assert np.isfinite(found[0, 0, 2, :5]).all()
    assert np.isnan(found[1, 1]).all()
    assert np.isnan(floats(made["metrics"][0]["mean"]).reshape(2, 2, 21)[1, 1]).all()
    json.dumps(made, allow_nan=False)


@pytest.mark.parametrize("samples", [1, 700, 30_000])
def test_a_page_stays_within_its_size_however_many_samples_there_are(samples: int) -> None:
    sets = curve_sets({"a": curves_of(samples), "b": curves_of(3)}, TOKENS)
    kept = sum(len(base64.b64decode(m["curves"]["values"])) for one in sets for m in one["metrics"])
    assert kept <= BUDGET
    assert len(sets[0]["counted"]) == min(samples, MOST)
    assert sets[0]["samples"] == samples
    assert len(sets[0]["cards"]) == len(sets[0]["shown"]) >= min(samples, 100)


def test_what_is_spread_holds_both_ends_and_no_index_twice() -> None:
    for count, at_most in [(1, 5), (7, 7), (10, 3), (5000, 2000), (3, 1)]:
        found = spread(count, at_most)
        assert len(set(found.tolist())) == len(found) == min(count, at_most)
        assert found[0] == 0
        assert at_most == 1 or found[-1] == count - 1


def test_datasets_without_curves_have_none() -> None:
    data = xr.Dataset({"l0": (("sample",), np.ones(3)), "x": (("step",), np.ones(2))})
    assert curve_sets({"latents": data}, {}) == []
