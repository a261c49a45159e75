"""Rates of verdicts: a test of the right size passes, one of the wrong size does not."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from benchmarks.calibration.ks import Cell, Coverage, text_of
from benchmarks.calibration.rates import Study, World, false_verdicts, missed_effects, rates
from benchmarks.calibration.tables import coverage_table, rates_table


def verdicts(z: float) -> dict[str, str]:
    def of(bound: float) -> str:
        return "holds" if z > bound else "does not hold" if z < -bound else "undecided"

    return {"fair": of(1.96), "eager": of(1.3)}


NULL = World("nothing", lambda n, generator: generator.normal(), null=("fair", "eager"))
SMALL = World("a little", lambda n, generator: generator.normal() + 1, effect=("fair",))
LARGE = World("a lot", lambda n, generator: generator.normal() + 4, effect=("fair",))
STUDY = Study("toy", {"demo": 10}, (NULL, SMALL, LARGE), verdicts)


def test_too_many_false_verdicts_are_told() -> None:
    faults = false_verdicts(NULL, rates(STUDY, NULL, 10, 400))
    assert [fault.split(" says ")[0] for fault in faults] == ["eager", "eager"]


@pytest.mark.parametrize(("world", "faults"), [(SMALL, 1), (LARGE, 0)])
def test_a_missed_effect_is_told(world: World, faults: int) -> None:
    assert len(missed_effects(world, rates(STUDY, world, 10, 400))) == faults


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
    assert rows[0] == "| claim | false, n = 10 | seen, n = 10 |"
    eager = rows[3].strip("| ").split(" | ")
    assert (eager[0], eager[2]) == ("eager", "–")
    assert all(5 < float(rate) < 15 for rate in eager[1].split(" / "))


def test_the_table_of_coverage_counts_misses_and_bounds() -> None:
    cells = [Cell((0.1,), 100, correlation, True) for correlation in (0.0, 0.9)]
    results = [Coverage(100, 4, 1, 50), Coverage(100, 1, 0, 0)]
    found = {
        text_of(cell): {**result._asdict(), "covered": result.covered}
        for cell, result in zip(cells, results, strict=True)
    }
    assert "| 0.1 | 97.0 (95 to 99); 25% bounds |" in coverage_table(found, cells)
