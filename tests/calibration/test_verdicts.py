"""No claim of any study is decided too often where nothing is so, and what was published is seen.

The whole, at the papers' sizes, too: `python -m benchmarks.calibration`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from functools import cache

import pytest
from benchmarks.calibration.__main__ import STUDIES
from benchmarks.calibration.lee2024 import paper_plan
from benchmarks.calibration.rates import Rates, Study, World, decisions, faults

from steppe.studies.lee2024.claims import claims_of
from steppe.study.verdicts import HOLDS, Decision

# So many tell 5% on each side from 2.5%; what is true is seen in nearly all, or says why not.
NULL_RUNS, EFFECT_RUNS = 200, 50
CASES = [
    pytest.param(study, world, id=f"{study.name} {world.name}")
    for study in STUDIES.values()
    for world in study.worlds
]


@cache
def decided(name: str, world: World) -> list[Mapping[str, Decision]]:
    study, runs = STUDIES[name], world.quick or (NULL_RUNS if world.null else EFFECT_RUNS)
    return list(decisions(study, world, study.sizes["demo"], range(runs)))


def counted(world: World, runs: Iterable[Mapping[str, Decision]]) -> Rates:
    found = Rates()
    for run in runs:
        found.add(world, run)
    return found


def at_ninety_percent(decision: Decision) -> Decision:
    end = decision.number if decision.p < 0.1 else 0.0
    return replace(decision, low=end, high=end)


@pytest.mark.parametrize(("study", "world"), CASES)
def test_verdicts_are_right_as_often_as_they_say(study: Study, world: World) -> None:
    found = counted(world, decided(study.name, world))
    assert faults(study, world, found) == []
    # What a claim says of itself is true.
    admitted = [id_ for id_ in world.effect if study.admits(id_)]
    assert all(found.share(id_, HOLDS) < 0.8 for id_ in admitted)


@pytest.mark.parametrize("study", STUDIES.values(), ids=STUDIES)
def test_intervals_of_ninety_percent_are_told(study: Study) -> None:
    world = study.worlds[0]
    eager = (
        {id_: at_ninety_percent(decision) for id_, decision in run.items()}
        for run in decided(study.name, world)
    )
    assert faults(study, world, counted(world, eager)) != []


@pytest.mark.parametrize("study", STUDIES.values(), ids=STUDIES)
def test_every_claim_has_a_null_and_an_effect(study: Study) -> None:
    assert study.uncovered() == []


def test_claims_of_the_papers_plan_are_those_that_are_tried() -> None:
    assert {claim.id for claim in claims_of(paper_plan())} == STUDIES["lee2024"].claims.keys()
