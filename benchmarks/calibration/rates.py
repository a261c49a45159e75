"""How often each claim of a study gets each verdict in worlds whose truth is known."""

from __future__ import annotations

import json
import zlib
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from scipy.stats import binom

from steppe.recipes.deciding import FAILS, HOLDS

# Of 2.5%, so many runs may lie above it by the luck of the simulation: one cell in 10,000 more.
_LUCK = 1e-4
# Runs between two checkpoints.
_BETWEEN = 50

Rates = dict[str, Counter[str]]


@dataclass(frozen=True)
class World:
    """A truth that runs of a study are drawn from.

    Attributes:
        name: What is true in it.
        simulate: From the number of samples and a generator to a run's data.
        null: Ids of the claims whose number is zero in it.
        effect: Ids of the claims that are true in it, by as much as was published or seen.
    """

    name: str
    simulate: Callable[[int, np.random.Generator], Any]
    null: tuple[str, ...] = ()
    effect: tuple[str, ...] = ()


@dataclass(frozen=True)
class Study:
    """What is simulated of a study.

    Attributes:
        name: The recipe's.
        sizes: Numbers of samples, by name: the demo run's, the paper's.
        worlds: The truths.
        verdicts: From a run's data to a verdict by claim id: the recipe's own code.
    """

    name: str
    sizes: Mapping[str, int]
    worlds: tuple[World, ...]
    verdicts: Callable[[Any], Mapping[str, str]]


def rates(study: Study, world: World, n: int, runs: int, checkpoint: Path | None = None) -> Rates:
    """Verdicts by claim id over simulated runs.

    Args:
        study: The study.
        world: What its runs are drawn from; run i is the same however many are drawn.
        n: Samples of a run.
        runs: How many runs.
        checkpoint: A file that keeps what is done, to go on from.
    """
    done, found = _read(checkpoint)
    cell = zlib.crc32(f"{study.name} {world.name} {n}".encode())
    for run in range(done, runs):
        generator = np.random.default_rng([cell, run])
        for id_, verdict in study.verdicts(world.simulate(n, generator)).items():
            found.setdefault(id_, Counter())[verdict] += 1
        if checkpoint is not None and ((run + 1) % _BETWEEN == 0 or run + 1 == runs):
            content = {"runs": run + 1, "verdicts": found}
            checkpoint.write_text(json.dumps(content))
    return found


def _read(checkpoint: Path | None) -> tuple[int, Rates]:
    if checkpoint is None or not checkpoint.exists():
        return 0, {}
    content = json.loads(checkpoint.read_text())
    return content["runs"], {id_: Counter(counts) for id_, counts in content["verdicts"].items()}


def too_many(runs: int, share: float = 0.025) -> int:
    """So many of ``runs`` false verdicts are more than a rate of ``share`` gives by luck."""
    return int(binom.ppf(1 - _LUCK, runs, share)) + 1


def too_few(runs: int, share: float = 0.8) -> int:
    """So few of ``runs`` right verdicts are fewer than a rate of ``share`` gives by luck."""
    return int(binom.ppf(_LUCK, runs, share)) - 1


def false_verdicts(world: World, found: Rates) -> list[str]:
    """What a null world was told too often: one sentence each."""
    return [
        f"{id_} says '{verdict}' in {found[id_][verdict]} of {found[id_].total()} runs of "
        f"'{world.name}', where its number is zero"
        for id_ in world.null
        for verdict in (HOLDS, FAILS)
        if found[id_][verdict] >= too_many(found[id_].total())
    ]


def missed_effects(world: World, found: Rates) -> list[str]:
    """Which published effects are not seen in 80% of runs: one sentence each."""
    return [
        f"{id_} says 'holds' in {found[id_][HOLDS]} of {found[id_].total()} runs of "
        f"'{world.name}', where it is true"
        for id_ in world.effect
        if found[id_][HOLDS] <= too_few(found[id_].total())
    ]
