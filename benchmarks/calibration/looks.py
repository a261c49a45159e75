"""How often verdicts are false, and how soon right, where a growing run is looked at repeatedly.

    python -m benchmarks.calibration.looks --runs 300
    python -m benchmarks.calibration.looks --runs 2000 --world "one half"
    python -m benchmarks.calibration.looks --demo          # after how many samples the demo's are

Runs of 1,000 samples of giglemiani2024 are simulated as for `benchmarks.calibration`; claims are
decided from their first 64, 128, 256, 512 samples and from all, at the levels of
`steppe.comparisons.look_levels`.
"""

from __future__ import annotations

import argparse
import zlib
from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from math import sqrt

import numpy as np
from benchmarks.calibration.giglemiani2024 import STUDY, Data, decide, demo
from benchmarks.calibration.rates import World

from steppe.settings.looks import planned_looks
from steppe.study.looks import Looked
from steppe.study.verdicts import HOLDS, Decision

MOST = 1000
# Draws behind a KS distance: with fewer no p-value comes below the first look's level.
DRAWS = 640


@dataclass
class Found:
    """What claims said over simulated runs.

    Attributes:
        runs: How many.
        clear: How often each claim was decided, and held: over all looks, and by the last alone.
        samples: The sum of samples until it was decided, or all of them.
        each: Share of a run's claims that were decided, one number a run.
    """

    runs: int = 0
    clear: dict[str, Counter[str]] = field(default_factory=dict)
    samples: Counter[str] = field(default_factory=Counter)
    each: list[float] = field(default_factory=list)

    def add(self, looked: Mapping[str, Looked]) -> None:
        """Count one run."""
        self.runs += 1
        for id_, one in looked.items():
            counts = self.clear.setdefault(id_, Counter())
            counts["looks"] += one.is_clear
            counts["held"] += one.decision.verdict == HOLDS
            counts["once"] += one.each[-1].p <= 0.05
            counts["once held"] += one.each[-1].verdict == HOLDS
            self.samples[id_] += one.plan[one.at]
        self.each.append(float(np.mean([one.is_clear for one in looked.values()])))

    def share(self, what: str) -> float:
        """Share of all verdicts of all claims."""
        return sum(c[what] for c in self.clear.values()) / (self.runs * len(self.clear))


def looked(data: Data, ids: Collection[str], plan: tuple[int, ...]) -> dict[str, Looked]:
    """What these claims say of a run over all looks."""
    each: dict[str, list[Decision]] = {id_: [] for id_ in ids}
    for n in plan:
        first = {
            table: {place: values[:n] for place, values in steps.items()}
            for table, steps in data.items()
        }
        for id_, decision in decide(first, ids, DRAWS).items():
            each[id_].append(decision)
    return {id_: Looked.of(decisions, plan) for id_, decisions in each.items()}


def simulate(world: World, ids: Collection[str], runs: range, most: int = MOST) -> Found:
    """Simulated runs of a world; each is the same whichever are asked for."""
    found, plan = Found(), planned_looks(most)
    cell = zlib.crc32(f"looks {world.name} {most}".encode())
    for run in runs:
        data = world.simulate(most, np.random.default_rng([cell, run]))
        found.add(looked(data, ids, plan))
    return found


def line(world: World, found: Found, *, true: bool) -> str:
    """A row of the table in docs/statistics.md."""
    error = np.std(found.each) / sqrt(found.runs)
    what, once = ("held", "once held") if true else ("looks", "once")
    samples = sum(found.samples.values()) / (found.runs * len(found.clear))
    return (
        f"| {world.name} | {len(found.clear)} | {found.runs} | {100 * found.share(what):.2f} ± "
        f"{100 * error:.2f} | {100 * found.share(once):.2f} | {samples:.0f} |"
    )


def main() -> None:
    """Simulate what was asked for; print one row a world, then one a claim."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--runs", type=int, default=400)
    names = [world.name for world in STUDY.worlds]
    parser.add_argument("--world", action="append", choices=names, help="repeatable")
    parser.add_argument("--demo", action="store_true", help="the stored steps of the demo run")
    asked = parser.parse_args()
    if asked.demo:
        for id_, one in looked(demo(), STUDY.claims.keys(), planned_looks(500)).items():
            print(id_, one.decision.verdict, one.plan[one.at], f"p = {one.decision.p:.2g}")
        return
    print("| world | claims | runs | decided | at the end alone | samples |")
    print("| --- | ---: | ---: | ---: | ---: | ---: |")
    for world in STUDY.worlds:
        ids = [*world.null, *world.effect]
        if asked.world and world.name not in asked.world:
            continue
        found = simulate(world, ids, range(asked.runs))
        print(line(world, found, true=bool(world.effect)), flush=True)
        for id_, counts in found.clear.items():
            shares = ", ".join(f"{100 * counts[w] / found.runs:.1f}" for w in ("looks", "once"))
            print(f"    {id_}: {shares}; {found.samples[id_] / found.runs:.0f} samples")


if __name__ == "__main__":
    main()
