"""No claim of lee2024 is decided too often where nothing is so, and effects are seen."""

from __future__ import annotations

import pytest
from benchmarks.calibration.lee2024 import STUDY, demo_plan, paper_plan
from benchmarks.calibration.rates import World, false_verdicts, missed_effects, rates

from steppe.recipes.lee2024.claims import claims_of
from steppe.recipes.lee2024.plan import Plan

RUNS = {"null": 150, "effect": 40}


@pytest.mark.parametrize("world", STUDY.worlds, ids=lambda world: world.name)
def test_verdicts_are_as_rarely_false_as_they_say(world: World) -> None:
    runs = RUNS["null" if world.null else "effect"]
    found = rates(STUDY, world, STUDY.sizes["demo"], runs)
    assert false_verdicts(world, found) == []
    assert missed_effects(world, found) == []


@pytest.mark.parametrize("plan", [demo_plan(), paper_plan()])
def test_every_claim_is_tried(plan: Plan) -> None:
    ids = {claim.id for claim in claims_of(plan)}
    assert {id_ for world in STUDY.worlds for id_ in world.null} == ids
    assert {id_ for world in STUDY.worlds for id_ in world.effect} == ids
