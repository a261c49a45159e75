"""How often each claim of a study gets each verdict in worlds whose truth is known."""

from __future__ import annotations

import json
import zlib
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field
from math import sqrt
from pathlib import Path
from typing import Any

import numpy as np
from scipy.stats import binom, norm

from steppe.study.verdicts import FAILS, HOLDS, Decision

# Of 2.5%, so many runs may lie above it by the luck of the simulation: one cell in 10,000 more.
_LUCK = 1e-4
# False verdicts on either side, and both: the shares that 95% intervals allow.
_ALLOWED = {(HOLDS,): 0.025, (FAILS,): 0.025, (HOLDS, FAILS): 0.05}
# Runs between two checkpoints.
_BETWEEN = 50
# A claim that says so itself need not be seen.
_ADMISSIONS = ("cannot be decided with", "says the opposite")


@dataclass(frozen=True)
class World:
    """A truth that runs of a study are drawn from.

    Attributes:
        name: What is true in it.
        simulate: From the number of samples and a generator to a run's data.
        null: Ids of the claims whose number is zero in it.
        effect: Ids of the claims that are true in it, by as much as was published or seen.
        quick: Runs in the quick form, if not as many as usual: few where each takes long, which
            tell what all claims do together, and many where there are few claims.
    """

    name: str
    simulate: Callable[[int, np.random.Generator], Any]
    null: tuple[str, ...] = ()
    effect: tuple[str, ...] = ()
    quick: int | None = None


@dataclass(frozen=True)
class Study:
    """What is simulated of a study.

    Attributes:
        name: The study's.
        sizes: Numbers of samples, by name: the demo run's, the paper's.
        worlds: The truths.
        claims: The statements of the study's claims, by id.
        decide: From a run's data and ids of claims to their decisions: the study's own code.
    """

    name: str
    sizes: Mapping[str, int]
    worlds: tuple[World, ...]
    claims: Mapping[str, str]
    decide: Callable[[Any, Collection[str]], Mapping[str, Decision]]

    def uncovered(self) -> list[str]:
        """Which claims are null or true in no world, and what worlds name that is no claim."""
        tried = {
            "null": {id_ for world in self.worlds for id_ in world.null},
            "true": {id_ for world in self.worlds for id_ in world.effect},
        }
        known = self.claims.keys()
        return [
            *(f"{id_} is {what} in no world" for what in tried for id_ in known - tried[what]),
            *(f"{id_} is no claim" for what in tried for id_ in tried[what] - known),
        ]

    def admits(self, id_: str) -> bool:
        """Whether a claim says itself that its effect is not seen, or is not what was published."""
        return any(words in self.claims[id_] for words in _ADMISSIONS)


@dataclass
class Rates:
    """Verdicts over simulated runs of one world.

    Attributes:
        runs: How many.
        verdicts: How often each claim got each verdict.
        false: How many runs had so many false verdicts, over all claims that are null there.
    """

    runs: int = 0
    verdicts: dict[str, Counter[str]] = field(default_factory=dict)
    false: Counter[int] = field(default_factory=Counter)

    def add(self, world: World, decisions: Mapping[str, Decision]) -> None:
        """Count one run."""
        self.runs += 1
        for id_, decision in decisions.items():
            self.verdicts.setdefault(id_, Counter())[decision.verdict] += 1
        self.false[sum(decisions[id_].verdict in (HOLDS, FAILS) for id_ in world.null)] += 1

    def share(self, id_: str, *verdicts: str) -> float:
        """In which share of runs a claim got one of these verdicts."""
        return sum(self.verdicts[id_][verdict] for verdict in verdicts) / self.runs

    def false_of_a_run(self) -> tuple[float, float]:
        """Mean number of false verdicts of a run, and its standard error."""
        counts = np.repeat(list(self.false), list(self.false.values()))
        return float(counts.mean()), float(counts.std() / sqrt(len(counts)))

    def as_dict(self) -> dict[str, Any]:
        """As it is written to JSON."""
        return {"runs": self.runs, "verdicts": self.verdicts, "false": self.false}

    def write(self, path: Path) -> None:
        """Keep what was counted."""
        path.write_text(json.dumps(self.as_dict()))

    @classmethod
    def read(cls, path: Path) -> Rates:
        """What was kept."""
        content = json.loads(path.read_text())
        verdicts = {id_: Counter(counts) for id_, counts in content["verdicts"].items()}
        false = Counter({int(number): runs for number, runs in content["false"].items()})
        return cls(content["runs"], verdicts, false)


def decisions(study: Study, world: World, n: int, runs: range) -> Iterator[Mapping[str, Decision]]:
    """What a world's claims say in simulated runs; each run is the same whichever are asked for."""
    cell = zlib.crc32(f"{study.name} {world.name} {n}".encode())
    for run in runs:
        made = world.simulate(n, np.random.default_rng([cell, run]))
        yield study.decide(made, (*world.null, *world.effect))


def rates(study: Study, world: World, n: int, runs: int, checkpoint: Path | None = None) -> Rates:
    """Verdicts over so many simulated runs.

    Args:
        study: The study.
        world: What its runs are drawn from.
        n: Samples of a run.
        runs: How many runs.
        checkpoint: A file that keeps what is done, to go on from.
    """
    found = Rates.read(checkpoint) if checkpoint is not None and checkpoint.exists() else Rates()
    for decided in decisions(study, world, n, range(found.runs, runs)):
        found.add(world, decided)
        if checkpoint is not None and (found.runs % _BETWEEN == 0 or found.runs == runs):
            found.write(checkpoint)
    return found


def too_many(runs: int, share: float) -> int:
    """So many of ``runs`` false verdicts are more than a rate of ``share`` gives by luck."""
    return int(binom.ppf(1 - _LUCK, runs, share)) + 1


def too_few(runs: int, share: float = 0.8) -> int:
    """So few of ``runs`` right verdicts are fewer than a rate of ``share`` gives by luck."""
    return int(binom.ppf(_LUCK, runs, share)) - 1


def false_verdicts(world: World, found: Rates) -> list[str]:
    """What a null world was told too often: one sentence each.

    Each claim is judged by itself, on each side and on both, and then all of them together: their
    verdicts depend on each other, so the error of their number is that seen between runs.
    """
    faults = [
        f"{id_} says {' or '.join(map(repr, verdicts))} in "
        f"{100 * found.share(id_, *verdicts):.1f}% of {found.runs} runs of '{world.name}', where "
        "its number is zero"
        for id_ in world.null
        for verdicts, allowed in _ALLOWED.items()
        if found.share(id_, *verdicts) * found.runs > too_many(found.runs, allowed) - 0.5
    ]
    if world.null:
        mean, error = found.false_of_a_run()
        allowed = _ALLOWED[HOLDS, FAILS]
        if mean > len(world.null) * allowed + norm.isf(_LUCK) * error:
            faults.append(
                f"{100 * mean / len(world.null):.1f}% of all verdicts of '{world.name}' are false "
                f"({found.runs} runs of {len(world.null)} claims, at most {100 * allowed:.0f}% "
                "should be)"
            )
    return faults


def missed_effects(study: Study, world: World, found: Rates) -> list[str]:
    """Which true claims are not seen and do not say so themselves: one sentence each."""
    return [
        f"{id_} says 'holds' in {100 * found.share(id_, HOLDS):.1f}% of {found.runs} runs of "
        f"'{world.name}', where it is true, and its statement does not say so"
        for id_ in world.effect
        if found.verdicts[id_][HOLDS] <= too_few(found.runs) and not study.admits(id_)
    ]


def faults(study: Study, world: World, found: Rates) -> list[str]:
    """Everything that is wrong with the verdicts of a world."""
    return [*false_verdicts(world, found), *missed_effects(study, world, found)]
