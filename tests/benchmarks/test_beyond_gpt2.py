"""docs/beyond_gpt2.md says what the claims beside it say."""

from __future__ import annotations

import pandas as pd
from benchmarks.beyond_gpt2 import (
    BEGIN,
    BEGIN_LAYERS,
    CLAIMS,
    END,
    END_LAYERS,
    PAGE,
    layers_tables,
    page_layers,
    page_tables,
    tables_of,
)


def test_the_page_shows_the_claims_that_are_kept() -> None:
    shown = PAGE.read_text(encoding="utf-8").partition(BEGIN)[2].partition(END)[0].strip()
    assert shown == page_tables()


def test_the_page_shows_the_layers_that_are_kept() -> None:
    text = PAGE.read_text(encoding="utf-8")
    assert text.partition(BEGIN_LAYERS)[2].partition(END_LAYERS)[0].strip() == page_layers()


def test_layers_are_rows_and_numbers_columns() -> None:
    rows = pd.DataFrame({
        "model": "a", "layer": [3, 3, 10], "what": ["ks", "outliers", "ks"],
        "number": [0.25, 0.5, 0.125], "low": [0.2, None, 0], "high": [0.3, None, 0.25],
    })  # fmt: skip
    assert layers_tables(rows).splitlines()[2:] == [
        "| layer | variance of outliers | KS of random to real |",
        "|---:|---|---|",
        "| 3 | 50% | 0.25 [0.2, 0.3] |",
        "| 10 |  | 0.125 [0, 0.25] |",
    ]


def test_a_verdict_is_told_with_what_is_left_of_it() -> None:
    rows = pd.DataFrame({
        "id": ["G1", "G1", "G2"], "statement": ["So.", "So.", "Or so."],
        "number": [1.5, 2.5, -3.0], "low": [1.0, -1.0, -4.0], "high": [2.0, 6.0, -2.0],
        "verdict": ["holds", "undecided", "does not hold"],
        "verdict_holm": ["holds", "undecided", "undecided"], "published": [11.25, 11.25, None],
        "study": "one", "model": ["a", "b", "a"], "samples": [10, 20, 10],
    })  # fmt: skip
    assert tables_of(rows).splitlines()[2:] == [
        "| | claim | GPT-2, published | a, n = 10 | b, n = 20 |",
        "|---|---|---:|---|---|",
        "| G1 | So. | 11.2 | **yes** 1.5 [1, 2] | ? 2.5 [-1, 6] |",
        "| G2 | Or so. |  | no -3 [-4, -2] |  |",
    ]


def test_every_model_says_which_weights_it_was() -> None:
    claims = pd.read_csv(CLAIMS)
    weights = dict(zip(claims.model, claims.weights, strict=True))
    assert weights["smollm2"].endswith("expanded to float32")
    trained = {"demo", "smollm2", "gemma-3-270m"}
    assert set(weights) == trained | {f"{name} with random weights" for name in trained}
    assert {weights[name] for name in set(weights) - trained} == {"drawn"}
