"""Rates of verdicts: a test of the right size passes, one of the wrong size does not."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from benchmarks.calibration.ks import Cell, Coverage, text_of
from benchmarks.calibration.rates import Study, World, false_verdicts, missed_effects, rates
from benchmarks.calibration.tables import coverage_table, rates_table, together_table
from numpy.typing import NDArray

from steppe.study.verdicts import Decision


def decided(z: float, reach: float) -> Decision:
    return Decision(z, z - reach, z + reach, 0.5)


def decide(z: float, ids: Collection[str]) -> dict[str, Decision]:
    return {id_: decided(z, {"fair": 1.96, "eager": 1.3}[id_]) for id_ in ids}


NULL = World("nothing", lambda n, generator: generator.normal(), null=("fair", "eager"))
SMALL = World("a little", lambda n, generator: generator.normal() + 1, effect=("fair",))
LARGE = World("a lot", lambda n, generator: generator.normal() + 4, effect=("fair",))
CLAIMS = {"fair": "It is so.", "eager": "It is so (less cannot be decided with 10 samples)."}
STUDY = Study("toy", {"demo": 10}, (NULL, SMALL, LARGE), CLAIMS, decide)


def test_too_many_false_verdicts_are_told() -> None:
    faults = false_verdicts(NULL, rates(STUDY, NULL, 10, 400))
    each = [fault.split(" says ")[0] for fault in faults]
    assert each[:3] == ["eager"] * 3
    assert "11.6% of all verdicts of 'nothing' are false" in each[3]


def test_many_claims_that_are_a_little_eager_are_told_together() -> None:
    ids = tuple(map(str, range(30)))

    def decide_each(z: NDArray[np.float64], ids: Collection[str]) -> dict[str, Decision]:
        return {id_: decided(float(z[int(id_)]), 1.84) for id_ in ids}

    world = World("many", lambda n, generator: generator.normal(size=30), null=ids)
    study = Study("toy", {"demo": 10}, (world,), dict.fromkeys(ids, "."), decide_each)
    (fault,) = false_verdicts(world, rates(study, world, 10, 200))
    assert "of all verdicts" in fault


def test_a_claim_without_a_world_is_told() -> None:
    added = replace(STUDY, claims={**CLAIMS, "new": "It is so, too."})
    assert set(added.uncovered()) == {
        "new is null in no world",
        "eager is true in no world",
        "new is true in no world",
    }
    assert replace(STUDY, claims={"fair": "."}).uncovered() == ["eager is no claim"]


def test_a_claim_that_says_it_is_not_seen_need_not_be() -> None:
    world = World("a little", SMALL.simulate, effect=("fair", "eager"))
    (fault,) = missed_effects(STUDY, world, rates(STUDY, world, 10, 400))
    assert fault.startswith("fair says 'holds' in")


@pytest.mark.parametrize(("world", "faults"), [(SMALL, 1), (LARGE, 0)])
def test_a_missed_effect_is_told(world: World, faults: int) -> None:
    assert len(missed_effects(STUDY, world, rates(STUDY, world, 10, 400))) == faults


def test_what_is_done_is_not_done_again(tmp_path: Path) -> None:
    whole = rates(STUDY, NULL, 10, 70)
    kept = tmp_path / "cell.json"
    rates(STUDY, NULL, 10, 50, kept)
    assert rates(STUDY, NULL, 10, 70, kept) == whole
    calls: list[int] = []
    counted = World("nothing", lambda n, generator: float(calls.append(n) or np.nan))
    assert rates(STUDY, counted, 10, 70, kept) == whole
    assert calls == []


def test_the_table_shows_false_and_right_verdicts() -> None:
    found = {(world.name, 10): rates(STUDY, world, 10, 400) for world in STUDY.worlds}
    rows = rates_table(STUDY, found).splitlines()
    assert rows[0] == "| claim | false, n = 10 | seen, n = 10 | effect |"
    eager = rows[3].strip("| ").split(" | ")
    assert (eager[0], eager[2]) == ("eager", "–")
    assert all(5 < float(rate) < 15 for rate in eager[1].split(" / "))
    assert rows[2].endswith("| a little, a lot |")
    together = together_table(STUDY, found).splitlines()
    assert together[2].startswith("| nothing | 10 | 2 | 1")


def test_the_table_of_coverage_counts_misses_and_bounds() -> None:
    cells = [Cell((0.1,), 100, correlation, True) for correlation in (0.0, 0.9)]
    results = [Coverage(100, 4, 1, 50), Coverage(100, 1, 0, 0)]
    found = {
        text_of(cell): {**result._asdict(), "covered": result.covered}
        for cell, result in zip(cells, results, strict=True)
    }
    assert "| 0.1 | 97.0 (95 to 99); 25% bounds |" in coverage_table(found, cells)
