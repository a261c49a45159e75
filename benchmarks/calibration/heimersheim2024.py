"""Made-up values of heimersheim2024's claims: like the demo run's, but with a known truth.

Crossings are log-normal between bases and between draws, with the demo's medians and spreads, and
censored at the path's end. Where a claim compares two kinds, the null run swaps them at random
within each base. Where it sets a bound (a margin of likeness, 40 degrees, a count), the null run
lies on it. The report shows examples and gives no number of base prompts: the study takes 120 on
GPT-2, too.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace
from functools import cache
from statistics import NormalDist

import numpy as np
from benchmarks.calibration.rates import Study, World
from numpy.typing import NDArray

from steppe.comparisons import earlier_share, earlier_within
from steppe.studies.heimersheim2024.claims import CLAIMS
from steppe.studies.heimersheim2024.numbers import FLAT_UNTIL, NEAR, SEPARATED, SYMMETRIC, USUAL_L0
from steppe.study.verdicts import Decision

Floats = NDArray[np.float64]
Values = dict[str, Floats]
Generator = np.random.Generator
ASCENT_BASES, ASCENT_STARTS, ENCODED, FAMILIES = 16, 6, 1000, 3
LATENTS = 24_576
SPHERE, STRAIGHT = 180.0, 1.0
NAMES = ("first", "second")
_MANY = 200_000


@dataclass(frozen=True)
class Kind:
    """Crossings of one kind.

    Attributes:
        median: Median crossing, in the path's unit.
        between: Standard deviation of their logarithms between bases.
        within: And between draws from one base.
    """

    median: float
    between: float
    within: float = 0.0


@dataclass(frozen=True)
class Pair:
    """Two kinds whose crossings a claim compares.

    Attributes:
        first: The one that crosses earlier where the claim holds.
        second: The other.
        draws: Draws from each base.
        alike: Correlation of both kinds' means of a base.
        end: Where the path ends; beyond it crossings are censored.
    """

    first: Kind
    second: Kind
    draws: int = 1
    alike: float = 0.0
    end: float = SPHERE

    def draw(self, n: int, generator: Generator, *, swapped: bool = False) -> Values:
        """Values of a claim, ``(n, draw)`` or ``(n,)`` for one draw.

        Args:
            n: Base prompts.
            generator: Where they come from.
            swapped: Whether the kinds change places at random in each base.
        """
        shared = generator.normal(size=(n, 1)) * self.alike**0.5
        both = []
        for kind in (self.first, self.second):
            own = shared + generator.normal(size=(n, 1)) * (1 - self.alike) ** 0.5
            logs = kind.between * own + kind.within * generator.normal(size=(n, self.draws))
            crossings = kind.median * np.exp(logs)
            crossings[crossings > self.end] = np.inf
            both.append(crossings if self.draws > 1 else crossings[:, 0])
        return swap(*both, generator) if swapped else dict(zip(NAMES, both, strict=True))

    def moved(self, factor: float) -> Pair:
        """The same with the second kind later by a factor."""
        return replace(self, second=replace(self.second, median=factor * self.second.median))


def swap(one: Floats, other: Floats, generator: Generator) -> Values:
    """Two arrays whose rows change places at random."""
    chosen = generator.random(len(one)) < 0.5
    chosen = chosen.reshape(-1, *[1] * (one.ndim - 1))
    return {"first": np.where(chosen, one, other), "second": np.where(chosen, other, one)}


# Medians and spreads of the demo run.
REAL_FLAT, RANDOM_FLAT = Kind(29.9, 0.25), Kind(12.7, 0.46)
REAL_BASE, RANDOM_BASE = Kind(50.0, 0.20, 0.14), Kind(30.0, 0.41, 0.26)
REAL_OTHER, RANDOM = Kind(33.6, 0.18, 0.21), Kind(41.6, 0.16, 0.14)
ACTIVE, ADDED = Kind(53.1, 0.25, 0.24), Kind(41.0, 0.20, 0.11)
# By claim: what the demo shows, the earlier kind first (HP1, HP2, HP4: reversed).
PAIRS = {
    "HM2e": Pair(RANDOM_BASE, REAL_BASE, 2),
    "HM3a": Pair(REAL_OTHER, RANDOM, 5, 0.7),
    "HM3b": Pair(Kind(0.56, 0.15, 0.2), Kind(0.68, 0.16, 0.15), 5, 0.7, STRAIGHT),
    "HM4": Pair(RANDOM, Kind(62.0, 0.14, 0.11), 5, 0.75),
    "HP1": Pair(RANDOM, ACTIVE, 5, 0.45),
    "HP2": Pair(REAL_OTHER, ACTIVE, 5, 0.4),
    "HP3": Pair(Kind(29.2, 0.38, 0.22), ADDED, 2),
    "HP4": Pair(ADDED, ADDED, 2, 0.92).moved(1.014),
    "HP5": Pair(Kind(29.2, 0.38, 0.22), Kind(38.5, 0.29, 0.14), 2),
}
HELD = Pair(RANDOM_FLAT, REAL_FLAT)
# Denied or left undecided by the demo, and not published in numbers.
REVERSED = ("HP1", "HP2", "HP4")
# One direction per prompt, as in the controls.
STUDY_ONCE = Pair(Kind(33.2, 0.27), Kind(41.8, 0.23), alike=0.43)
CONTROL = Pair(Kind(25.8, 0.24), Kind(27.4, 0.24), alike=0.42)
# Claims on responses: path's end, power of the crossing's multiple, relative spread of the scale.
RESPONSES = {
    "HM2a": (SPHERE, 2.0, 0.0),
    "HM2b": (STRAIGHT, 2.0, 0.0),
    "HM2c": (SPHERE, 0.7, 0.2),
    "HM2d": (STRAIGHT, 0.7, 0.2),
    "HM2f": (SPHERE, 1.0, 0.1),
    "HM2g": (STRAIGHT, 1.0, 0.1),
}
# The demo shows no such effect, the report no number.
ASSUMED = ("HM2c", "HM2d")
# Shares of families with an optimum, and how much alike the families of a base are.
OPTIMA = {"HM6a": 0.42, "HM6b": 0.09}
RARE = 0.01
# By how much cosines rise, and its spread between bases: what the demo shows, reversed.
ASCENTS = {"HP6": (0.17, 0.075), "HP7": (0.09, 0.065)}
ALIKE_WITHIN = 20.0


def responses(n: int, generator: Generator, id_: str, *, swapped: bool) -> Values:
    """Values of a claim on responses from real and from random bases.

    They grow as a power of the crossing's multiple and level off; KL reaches its level there.
    """
    end, power, spread = RESPONSES[id_]
    own = replace(Pair(REAL_BASE, RANDOM_BASE), end=np.inf).draw(n, generator)
    # A straight path of the base's norm ends near two crossings, a great circle near four.
    positions = np.linspace(0, SPHERE if end == SPHERE else SPHERE / 2.5, 101)
    both = []
    for crossing in own.values():
        multiples = positions / crossing[:, None]
        scale = np.exp(spread * generator.normal(size=(n, 1)))
        curves = scale * multiples**power / (0.9 + 0.1 * multiples**power)
        crossed = np.where(crossing > positions[-1], np.inf, crossing * end / positions[-1])
        both.append(np.column_stack([crossed, curves]))
    placed = swap(*both, generator) if swapped else dict(zip(NAMES, both, strict=True))
    return {
        name: array
        for key, values in placed.items()
        for name, array in ((key, values[:, 1:]), (f"{key}_crossing", values[:, 0]))
    }


def shares(n: int, generator: Generator, share: float) -> Floats:
    """Whether each of a base's families has an optimum, ``(n, family)``: alike within a base."""
    own = generator.beta(share * ALIKE_WITHIN, (1 - share) * ALIKE_WITHIN, size=(n, 1))
    return (generator.random((n, FAMILIES)) < own).astype(np.float64)


def beyond(n: int, generator: Generator, median: float) -> Values:
    """Whether each real base stays flat beyond the bound, with that median."""
    left = Pair(replace(REAL_FLAT, median=median), REAL_FLAT).draw(n, generator)["first"]
    return {"first": (left > FLAT_UNTIL).astype(np.float64)}


def sides(n: int, generator: Generator, gap: float) -> Values:
    """Both sides of corners, a mean gap of so many degrees apart."""
    corner = Kind(41.0, 0.2, 0.11)
    first = Pair(corner, corner, FAMILIES).draw(n, generator)["first"]
    apart = gap + generator.standard_t(4, size=first.shape)
    second = np.where(np.isinf(first), np.inf, first + apart)
    return {"first": first, "second": second}


def counts(generator: Generator, mean: float, powers: float) -> Values:
    """Active latents of vectors: rounded log-normal, the middle 95% over so many powers of ten.

    There are no more than GPT-2's SAEs have.
    """
    spread = powers * np.log(10) / (2 * NormalDist().inv_cdf(0.975))
    drawn = np.exp(spread * generator.normal(size=ENCODED) - spread**2 / 2)
    return {"first": np.minimum(np.round(mean * drawn), LATENTS)}


def climbed(generator: Generator, id_: str, *, swapped: bool = False) -> Values:
    """Cosines before and after an ascent by which they rise; swapped at random where asked."""
    rise, spread = ASCENTS[id_]
    own, rises = generator.normal(size=(2, ASCENT_BASES, 1))
    before = 0.5 + 0.05 * own + 0.08 * generator.normal(size=(ASCENT_BASES, ASCENT_STARTS))
    after = before + rise + spread * rises + 0.06 * generator.normal(size=before.shape)
    return swap(before, after, generator) if swapped else {"first": before, "second": after}


@cache
def shifted(pair: Pair, area: float) -> Pair:
    """A pair whose kinds have an ROC area, the second moved in its median."""
    low, high = 0.1, 10.0
    for _ in range(25):
        factor = (low * high) ** 0.5
        made = pair.moved(factor).draw(_MANY // pair.draws, np.random.default_rng(0))
        low, high = (factor, high) if earlier_share(*made.values()) < area else (low, factor)
    return pair.moved(factor)


def there(values: Values) -> Values:
    """Values of the control beside those of the study."""
    return {f"{name}_at": array for name, array in values.items()}


def won(values: Values) -> Values:
    """Whether each base's first crossing comes before its second."""
    return {"first": earlier_within(values["first"], values["second"])}


def exchangeable(n: int, generator: Generator) -> dict[str, Values]:
    """Kinds swapped at random within each base."""
    made = {id_: pair.draw(n, generator, swapped=True) for id_, pair in PAIRS.items()}
    made |= {id_: responses(n, generator, id_, swapped=True) for id_ in RESPONSES}
    made["HM1b"] = won(HELD.draw(n, generator, swapped=True))
    made["HM3c"] = won(STUDY_ONCE.draw(n, generator, swapped=True))
    made["HM6c"] = swap(*(shares(n, generator, s) for s in (RARE, OPTIMA["HM6b"])), generator)
    made |= {id_: climbed(generator, id_, swapped=True) for id_ in ASCENTS}
    own, control = (pair.draw(n, generator, swapped=True) for pair in (STUDY_ONCE, CONTROL))
    return {**made, "HM9a": own | there(control)}


def on_the_bound(n: int, generator: Generator) -> dict[str, Values]:
    """Each claim with a bound or a margin exactly on it."""
    alike = shifted(CONTROL, 0.5 + NEAR)
    leads = shifted(STUDY_ONCE, 0.74)
    halves = {id_: {"first": shares(n, generator, 0.5)} for id_ in OPTIMA}
    return {
        **halves,
        "HM1a": beyond(n, generator, FLAT_UNTIL),
        "HM5": shifted(PAIRS["HM3a"], SEPARATED).draw(n, generator),
        "HM6d": sides(n, generator, SYMMETRIC),
        "HM7": counts(generator, USUAL_L0 / 10, 1.5),
        "HM8": counts(generator, 60.0, 1.0),
        "HM9a": leads.draw(n, generator) | there(leads.draw(n, generator)),
        **{id_: alike.draw(n, generator) for id_ in ("HM9b", "HP8", "HP9")},
    }


def as_published(n: int, generator: Generator) -> dict[str, Values]:
    """The report's numbers: no difference, about 100 active latents, 10 to 20,000 of them."""
    powers = np.log10(20_000 / 10)
    spread = powers * np.log(10) / (2 * NormalDist().inv_cdf(0.975))
    return {
        "HM6d": sides(n, generator, 0.0),
        "HM7": counts(generator, USUAL_L0, 1.0),
        "HM8": counts(generator, np.sqrt(10 * 20_000) * np.exp(spread**2 / 2), powers),
        "HM9b": shifted(CONTROL, 0.5).draw(n, generator),
    }


def as_in_the_demo(n: int, generator: Generator) -> dict[str, Values]:
    """The effects of the demo run."""
    made = {id_: pair.draw(n, generator) for id_, pair in PAIRS.items() if id_ not in REVERSED}
    made |= {
        id_: responses(n, generator, id_, swapped=False) for id_ in RESPONSES if id_ not in ASSUMED
    }
    rare, usual = (shares(n, generator, share) for share in (RARE, OPTIMA["HM6b"]))
    return {
        **made,
        "HM1b": won(HELD.draw(n, generator)),
        "HM3c": {"first": (generator.random(n) < 0.95).astype(np.float64)},
        "HM5": PAIRS["HM3a"].draw(n, generator),
        "HM6c": {"first": rare, "second": usual},
        "HM9a": STUDY_ONCE.draw(n, generator) | there(shifted(CONTROL, 0.58).draw(n, generator)),
    }


def demo_reversed(n: int, generator: Generator) -> dict[str, Values]:
    """What the demo run denies or leaves undecided, by as much the other way."""
    optima = {id_: {"first": 1 - shares(n, generator, share)} for id_, share in OPTIMA.items()}
    return {
        **optima,
        **{id_: PAIRS[id_].draw(n, generator) for id_ in REVERSED},
        **{id_: climbed(generator, id_) for id_ in ASCENTS},
        "HM1a": beyond(n, generator, FLAT_UNTIL**2 / REAL_FLAT.median),
    }


def assumed(n: int, generator: Generator) -> dict[str, Values]:
    """L2 grows with the multiple of the crossing, as KL does; nothing tells kinds apart."""
    alike = shifted(CONTROL, 0.5)
    return {
        **{id_: responses(n, generator, id_, swapped=False) for id_ in ASSUMED},
        **{id_: alike.draw(n, generator) for id_ in ("HP8", "HP9")},
    }


def decide(made: Mapping[str, Values], ids: Collection[str]) -> dict[str, Decision]:
    """The study's own decisions."""
    return {claim.id: claim.decide(made[claim.id]) for claim in CLAIMS if claim.id in ids}


Simulation = Callable[[int, Generator], dict[str, Values]]


def _ids(simulate: Simulation) -> tuple[str, ...]:
    return tuple(simulate(8, np.random.default_rng(0)))


_NULLS = (("exchangeable", exchangeable), ("on the bound", on_the_bound))
_EFFECTS = (
    ("as published", as_published),
    ("as in the demo", as_in_the_demo),
    ("demo reversed", demo_reversed),
    ("assumed", assumed),
)
STUDY = Study(
    "heimersheim2024",
    {"demo": 120},
    (
        *(World(name, simulate, null=_ids(simulate)) for name, simulate in _NULLS),
        *(World(name, simulate, effect=_ids(simulate)) for name, simulate in _EFFECTS),
    ),
    {claim.id: claim.statement for claim in CLAIMS},
    decide,
)
