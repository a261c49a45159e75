"""Claims over several looks: the first clear one decides, at its own level."""

from __future__ import annotations

import numpy as np
import pytest

from steppe.comparisons import look_levels
from steppe.core.errors import InputError
from steppe.settings.looks import planned_looks
from steppe.studies.janiak2024.settings import Settings
from steppe.study import mostly
from steppe.study.looks import Looked
from steppe.study.verdicts import Decision

PLAN = (20, 40, 80)


def of(*shares: float) -> Looked:
    """Shares of wins at the first looks."""
    each = [mostly(np.arange(n) < share * n) for n, share in zip(PLAN, shares, strict=False)]
    return Looked.of(each, PLAN)


def test_a_verdict_is_kept() -> None:
    found = of(0.5, 0.9, 0.5)
    assert (found.at, found.decision.verdict) == (1, "holds")
    level = 1 - look_levels(PLAN)[1]
    once = mostly(np.arange(40) < 36).at_level(level)
    assert (found.decision.number, found.decision.low) == (once.number, once.low)
    # Wider than that of a single look.
    assert once.low < mostly(np.arange(40) < 36).low


def test_what_is_clear_at_five_percent_alone_is_not_yet() -> None:
    # 15 of 20: p = 0.041.
    found = of(0.75)
    assert found.each[0].verdict == "holds"
    assert found.decision.verdict == "undecided"
    assert found.decision.p > 0.05


def test_a_claim_may_be_known_well_enough() -> None:
    found = of(0.5, 0.5, 0.5)
    reach = (found.decision.high - found.decision.low) / 2
    assert found.is_settled(reach + 1e-9)
    assert not found.is_settled(reach - 1e-9)
    assert not found.is_settled(None)


def test_a_decision_that_knows_no_other_level_decides_nothing() -> None:
    each = [Decision(1.0, 0.9, 1.1, 1e-9)] * 2
    assert Looked.of(each, PLAN).decision.verdict == "undefined"


def test_looks_are_planned_by_the_most_samples() -> None:
    assert planned_looks(1000) == (64, 128, 256, 512, 1000)
    assert planned_looks(512) == (64, 128, 256, 512)
    assert planned_looks(50) == (50,)
    stages = Settings(samples=200, until="decided").stages
    assert [stage.samples for stage in stages] == [64, 128, 200]
    assert {stage.looks for stage in stages} == {(64, 128, 200)}
    # A stage is itself a request.
    assert [one.samples for one in stages[1].stages] == [64, 128]


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"precision": 0.02}, "add --until decided"),
        ({"looks": (64, 100)}, "add --until decided"),
        ({"until": "decided", "looks": (64, 64, 100)}, "growing numbers"),
        ({"until": "decided", "looks": (64, 128)}, "--samples among them"),
    ],
)
def test_a_plan_that_is_none_is_refused(asked: dict[str, object], message: str) -> None:
    with pytest.raises((InputError, ValueError)) as refused:
        Settings.model_validate({"samples": 100, **asked})
    assert message in str(refused.value)
