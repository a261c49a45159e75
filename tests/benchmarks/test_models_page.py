"""docs/models.md says what the records beside it say."""

from __future__ import annotations

import json

from benchmarks.models_page import FAMILIES, PAGE, RECORDS, between, families_table, models_table
from tests.propagation.conftest import FAMILIES as BUILT


def test_the_tables_are_those_of_the_records() -> None:
    text = PAGE.read_text(encoding="utf-8")
    assert between(text, "models") == models_table()
    assert between(text, "families") == families_table()


def test_every_family_is_recorded_and_agrees() -> None:
    found = json.loads(FAMILIES.read_text(encoding="utf-8"))
    assert set(found) == set(BUILT)
    for one in found.values():
        assert all(error <= one["tolerance"] for error in one["relative_error_by_layer"].values())


def test_every_record_passed() -> None:
    records = [json.loads(file.read_text(encoding="utf-8")) for file in RECORDS.glob("*.json")]
    assert {"demo", "smollm2", "gemma-3-270m"} <= {one["model"]["name"] for one in records}
    assert all(one["passed"] for one in records)
