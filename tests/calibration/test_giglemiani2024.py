"""The claims of giglemiani2024 say nothing where nothing is, and see what was published."""

from __future__ import annotations

import numpy as np
import pytest
from benchmarks.calibration.giglemiani2024 import STUDY, at_the_margin, resampled, verdicts
from benchmarks.calibration.rates import World, false_verdicts, missed_effects, rates

from steppe.comparisons import ks_statistic
from steppe.recipes.giglemiani2024.claims import CLAIMS

NULLS = [world for world in STUDY.worlds if world.null]
EFFECTS = [world for world in STUDY.worlds if world.effect]


@pytest.mark.parametrize("world", NULLS, ids=lambda world: world.name)
def test_no_verdict_comes_by_chance_too_often(world: World) -> None:
    assert false_verdicts(world, rates(STUDY, world, 500, 60)) == []


@pytest.mark.parametrize("world", EFFECTS, ids=lambda world: world.name)
def test_what_was_published_is_seen(world: World) -> None:
    assert missed_effects(world, rates(STUDY, world, 500, 20)) == []


def test_every_claim_has_a_null_and_is_seen_or_says_why_not() -> None:
    ids = {claim.id for claim in CLAIMS}
    assert {id_ for world in NULLS for id_ in world.null} == ids
    seen = {id_ for world in EFFECTS for id_ in world.effect}
    said = {c.id for c in CLAIMS if "opposite" in c.statement or "be decided" in c.statement}
    assert ids - seen == said


def test_ids_are_names_that_stay() -> None:
    expected = {*(f"G{number}" for number in range(1, 26)), "G22n", "G23n"}
    assert {claim.id for claim in CLAIMS} == expected
    assert len(CLAIMS) == len(expected)


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
    assert verdicts(holes) == verdicts(data)


def test_likeness_is_tested_at_its_margin() -> None:
    steps = at_the_margin(20_000, np.random.default_rng(0))["table_d1"]
    real, made = steps.values()
    assert ks_statistic(made, real) == pytest.approx(0.1, abs=0.01)
