"""The likeliest next tokens of the page's cards, by value, within their size."""

from __future__ import annotations

import base64

import numpy as np
from tests.reports.page.conftest import HOSTILE, TOKENS, curves_of, next_tokens_of

from steppe.reports.page.curves import curve_sets
from steppe.reports.page.next_tokens import next_tokens


def test_tokens_and_probabilities_are_those_of_the_dataset() -> None:
    data = next_tokens_of()
    made = next_tokens(data, ("mode", "kind"), [101, 103, 111], TOKENS)
    assert made["samples"] == [101, 103]
    assert made["texts"] == [" the", " sea", HOSTILE]
    tokens = np.frombuffer(base64.b64decode(made["tokens"]), "<u2").reshape(2, 2, 2, 3, 2)
    expected = data["next_token"].sel(sample=[101, 103]).transpose("mode", "kind", ...)
    np.testing.assert_array_equal(tokens, expected)
    likely = np.frombuffer(base64.b64decode(made["probabilities"]), "<u2") / 65535
    np.testing.assert_allclose(likely.reshape(-1, 2), [[0.75, 0.125]] * 24, atol=1e-5)


def test_they_are_kept_for_as_many_samples_as_fit() -> None:
    data = next_tokens_of(50_000)
    made = next_tokens(data, ("mode", "kind"), range(100, 50_100), TOKENS)
    assert 1000 < len(made["samples"]) < 50_000
    assert made["samples"] == list(range(100, 100 + len(made["samples"])))


def test_samples_that_have_them_are_shown_first() -> None:
    sets = curve_sets(
        {"curves": curves_of(30_000), "curves_next_tokens": next_tokens_of(64)}, TOKENS
    )
    assert [one["dataset"] for one in sets] == ["curves"]
    shown = [card["sample"] for card in sets[0]["cards"]]
    assert shown[:64] == list(range(100, 164)) == sets[0]["next"]["samples"]
    assert shown[-1] == 30_099
