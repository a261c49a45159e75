"""Null and power rates of every claim, and what intervals of KS distances cover.

    python -m benchmarks.calibration                       # 2,000 runs a cell
    python -m benchmarks.calibration --only giglemiani2024 --runs 500
    python -m benchmarks.calibration --only ks --runs 400  # intervals of KS distances alone
    python -m benchmarks.calibration --quick               # few runs, at the demo's size

A cell that was computed is kept in ``--folder`` and goes on from there.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from benchmarks.calibration import (
    compositions,
    ferreira2026,
    giglemiani2024,
    heimersheim2024,
    janiak2024,
    ks,
    lee2024,
    shinkle2025,
)
from benchmarks.calibration.rates import Rates, Study, faults, rates
from benchmarks.calibration.tables import coverage_table, rates_table, together_table

STUDIES: dict[str, Study] = {
    module.STUDY.name: module.STUDY
    for module in (
        compositions,
        ferreira2026,
        giglemiani2024,
        heimersheim2024,
        janiak2024,
        lee2024,
        shinkle2025,
    )
}
KS = "ks"
QUICK_RUNS = 200
# What is true takes fewer runs by this factor: 80% needs no such sharp eye as 2.5%.
FEWER = 5


def main() -> None:
    """Compute what was asked for, print it, and write it as JSON."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="few runs, at the demo's size only")
    parser.add_argument("--only", action="append", choices=[KS, *STUDIES], help="repeatable")
    parser.add_argument("--runs", type=int, default=2000, help="simulated runs a cell")
    parser.add_argument("--folder", type=Path, default=Path("runs/calibration"))
    parser.add_argument("--json", type=Path, help="where the rates are written")
    asked = parser.parse_args()
    runs = min(asked.runs, QUICK_RUNS) if asked.quick else asked.runs
    asked.folder.mkdir(parents=True, exist_ok=True)
    found: dict[str, Any] = {}
    for name in asked.only or [KS, *STUDIES]:
        if name == KS:
            found[name] = ks.coverage(runs, asked.folder, quick=asked.quick)
            print(coverage_table(found[name], ks.cells(asked.quick)), flush=True)
        else:
            found[name] = measure(STUDIES[name], runs, asked.folder, quick=asked.quick)
    if asked.json is not None:
        asked.json.write_text(json.dumps(found, indent=1))


def measure(study: Study, runs: int, folder: Path, *, quick: bool = False) -> dict[str, Any]:
    """Every world of a study at every size; faults are printed as they are found."""
    if uncovered := study.uncovered():
        raise SystemExit("\n".join(uncovered))
    result: dict[str, Any] = {}
    cells: dict[tuple[str, int], Rates] = {}
    for world in study.worlds:
        for size, n in study.sizes.items():
            if quick and size != "demo":
                continue
            label = f"{study.name} {world.name} n={n}"
            count = runs if world.null else max(1, runs // FEWER)
            cell = rates(study, world, n, count, folder / f"{label.replace(' ', '-')}.json")
            wrong = faults(study, world, cell)
            print(f"{label}: {count} runs, {len(wrong)} faults", *wrong, sep="\n  ", flush=True)
            result[label] = {"faults": wrong, **cell.as_dict()}
            cells[world.name, n] = cell
    print(rates_table(study, cells), together_table(study, cells), sep="\n", flush=True)
    return result


if __name__ == "__main__":
    main()
