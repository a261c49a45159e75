"""A claim's sentence says its verdict, what it says, and every number that is known of it."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pandas as pd
import pytest

from steppe.study.reporting import Report, format_text, sentences_of, versions_text
from steppe.study.verdicts import Decision, claims_frame


def test_a_claims_sentence() -> None:
    decision = Decision(0.5, 0.4, 0.6, 0.001)
    plain = decision.row("A1", "It holds.", quantity="a number")
    unclear = Decision(0.5, 0.1, 0.9, 0.04).row("A2", "It holds, too.", quantity="a number")
    assert sentences_of(claims_frame([plain, unclear, unclear], "quantity"))[:2] == [
        "**A1 holds**: It holds. (a number: 0.50, 95% interval 0.40 to 0.60)",
        "**A2 holds** (undecided after Holm's correction): It holds, too. "
        "(a number: 0.50, 95% interval 0.10 to 0.90)",
    ]


def test_the_same_number_elsewhere_and_the_published_one_stand_beside_it() -> None:
    further = {"number_at_length_51": 0.7, "number_at_length_51_low": 0.6, "published": 0.8}
    row = Decision(0.5, 0.4, 0.6, 0.001).row("A1", "It holds.", quantity="a number", **further)
    without = {**row, "number_at_length_51": np.nan, "published": np.nan}
    sentences = sentences_of(claims_frame([row, without], "quantity", *further))
    assert sentences[0].endswith("to 0.60; at length 51: 0.70; as published: 0.80)")
    assert sentences[1].endswith("to 0.60)")


def test_what_a_figure_shows_holds_no_formula(tmp_path: Path) -> None:
    (tmp_path / "figures").mkdir()
    report = Report(run=cast(Any, SimpleNamespace(path=tmp_path)))
    report.add_data("curves", pd.DataFrame({"kind": ["=1+1"], "@sae": [-1.5]}))
    assert (tmp_path / "figures" / "curves.csv").read_text() == "kind,'@sae\n'=1+1,-1.5\n"


@pytest.mark.parametrize(
    ("asked", "computed", "told"),
    [
        ({}, "float32", "float32"),
        ({"dtype": "bfloat16"}, "bfloat16", "bfloat16"),
        ({"dtype": "bfloat16"}, "float32", "float32, where bfloat16 is slow and was asked for"),
        ({}, "float16", "float16"),
    ],
)
def test_the_number_format_is_the_one_computed_in(asked: Any, computed: str, told: str) -> None:
    resolved = {"model_identity": {"dtype": computed}}
    run = SimpleNamespace(config={"asked": asked, "resolved": resolved})
    assert format_text(cast(Any, run)) == told


def test_versions_are_told_where_several_measured() -> None:
    def told(*starts: Any) -> str:
        return versions_text(cast(Any, SimpleNamespace(provenance=list(starts))))

    first = {"steppe": "1", "commit": None, "packages": {"torch": "2.1", "numpy": "2"}}
    other = {**first, "packages": {"torch": "2.2", "numpy": "2"}}
    assert told() == told(first, {**first, "shards_asked": 3}) == ""
    assert told(first, {**other, "shards_asked": 0}) == ""
    assert told(first, {**other, "shards_asked": 3}, first) == "torch 2.1, then 2.2"
    assert told(first, {**other, "steppe": "2"}) == "steppe 1, then 2; torch 2.1, then 2.2"
