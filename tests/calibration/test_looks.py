"""Looking again and again gives no more false verdicts than looking once.

The whole: `python -m benchmarks.calibration.looks`.
"""

from __future__ import annotations

from benchmarks.calibration.giglemiani2024 import STUDY
from benchmarks.calibration.looks import simulate
from benchmarks.calibration.rates import too_many

RUNS = 200


def test_false_verdicts_over_all_looks() -> None:
    world = next(world for world in STUDY.worlds if world.name == "one half")
    found = simulate(world, world.null, range(RUNS))
    for id_, counts in found.clear.items():
        assert counts["looks"] < too_many(RUNS, 0.05), id_
