"""Runs of giglemiani2024 that are made up are what they are said to be."""

from __future__ import annotations

import numpy as np
import pytest
from benchmarks.calibration.giglemiani2024 import STUDY, Data, at_the_margin, decide, resampled

from steppe.comparisons import ks_statistic
from steppe.studies.giglemiani2024.claims import CLAIMS


def test_ids_are_names_that_stay() -> None:
    expected = {*(f"G{number}" for number in range(1, 26)), "G22n", "G23n"}
    assert {claim.id for claim in CLAIMS} == expected
    assert len(CLAIMS) == len(expected)


def verdicts_of(data: Data) -> dict[str, str]:
    return {id_: one.verdict for id_, one in decide(data, STUDY.claims.keys()).items()}


def test_what_is_not_known_counts_for_nothing() -> None:
    generator = np.random.default_rng(0)
    data = resampled(500, generator)
    holes = {
        table: {
            place: np.concatenate([values, np.full(len(values), np.nan)])
            for place, values in steps.items()
        }
        for table, steps in data.items()
    }
    assert verdicts_of(holes) == verdicts_of(data)


def test_likeness_is_tested_at_its_margin() -> None:
    steps = at_the_margin(20_000, np.random.default_rng(0))["table_d1"]
    real, made = steps.values()
    assert ks_statistic(made, real) == pytest.approx(0.1, abs=0.01)
