"""From a finished run to numbers with intervals: means over tokens and samples, and their ratios.

Every interval comes from leaving out one sample (sequence) at a time, the same one of every series:
what is compared was measured on the same sequences.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import NamedTuple

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from steppe.comparisons import Parts, parts_of, ratio
from steppe.core.axes import SAE, SAMPLE, SERIES
from steppe.studies.lee2024.plan import (
    DOWNSTREAM,
    E2E,
    LOCAL,
    MIXTURE,
    Plan,
    SaeFacts,
    Series,
    make_plan,
)
from steppe.study import Analysis
from steppe.study.verdicts import Decision

Floats = NDArray[np.float64]
# From a series to its means: (step,), or (sample, step) with that sample left out.
Means = Callable[[Series], Floats]
# A number with the ends of its 95% interval.
Numbers = tuple[float, float, float]
# A function of means: a number, numbers as in `Parts`, or one at every step.
Number = Callable[[Means], Floats]

DIRECTIONS, SUBSTITUTIONS, SAES = "directions", "substitutions", "saes"
# How families of SAEs are called in labels.
FAMILY_SHORT = {LOCAL: "local", E2E: "e2e", DOWNSTREAM: "e2e+ds"}
# The length, in GPT-2's units, that stands for all where there is room for one.
MIDDLE_LENGTH = 51
# Where activations are moved when layers are compared.
OWN_SITES = "each SAE's own site"


class Curve(NamedTuple):
    """Numbers ``(step,)`` with the ends of their 95% intervals."""

    mean: Floats
    low: Floats
    high: Floats

    def at(self, step: int) -> Numbers:
        """The number at one step with its interval."""
        return float(self.mean[step]), float(self.low[step]), float(self.high[step])


@dataclass(frozen=True, eq=False)
class Estimates:
    """Means over samples of every series.

    Attributes:
        places: Where each series is, by its name.
        values: ``(series, sample, step)``, NaN where undefined; substitutions have one step.
        sums: Of the defined ones, ``(series, step)``.
        counts: How many are defined.
    """

    places: Mapping[str, int]
    values: NDArray[np.floating]
    sums: Floats
    counts: Floats

    @classmethod
    def of(cls, values: xr.DataArray) -> Estimates:
        """Average over samples; those in which a series is undefined are left out of its mean."""
        places = {str(name): index for index, name in enumerate(values[SERIES].values)}
        array = values.transpose(SERIES, SAMPLE, ...).values
        array = array.reshape(*array.shape[:2], -1)
        sums = np.asarray(np.nansum(array, axis=1, dtype=np.float64))
        return cls(places, array, sums, (~np.isnan(array)).sum(axis=1).astype(np.float64))

    @property
    def means(self) -> Floats:
        """``(series, step)``."""
        return ratio(self.sums, self.counts)

    def decide(self, number: Number) -> Decision:
        """A function of means, one number or those of `Parts`, with its interval."""
        return Decision.of_parts(self._apply(number)[1])

    def curve(self, number: Number) -> Curve:
        """A function of means at every step, each with its own interval."""
        whole, parts = self._apply(number)
        return Curve(whole, *parts.each())

    def _apply(self, number: Number) -> tuple[Floats, Parts]:
        """Of all samples; and with errors, over the samples in which every series is defined."""
        used: list[int] = []

        def without_each(series: Series) -> Floats:
            place = self.places[series.name]
            values = self.values[place].astype(np.float64)
            defined = ~np.isnan(values)
            used.append(int(defined.any(axis=1).sum()))
            rest = self.sums[place] - np.where(defined, values, 0.0)
            return ratio(rest, self.counts[place] - defined)

        with np.errstate(invalid="ignore", divide="ignore"):
            means = self.means
            whole = np.asarray(number(lambda series: means[self.places[series.name]]))
            left = np.asarray(number(without_each))
        return whole, replace(parts_of(whole, left), samples=min(used))


class Sensitivity(Analysis):
    """A finished run: its plan, its lengths, and means of its series with intervals."""

    @cached_property
    def saes(self) -> xr.Dataset | None:
        """What is known of the SAEs; None when there are none."""
        return self.datasets[SAES].load() if SAES in self.datasets else None

    @cached_property
    def plan(self) -> Plan:
        """What the run measured."""
        rows = [] if self.saes is None else self.saes.to_dataframe().iterrows()
        facts = [
            SaeFacts(str(label), row["site"], row["family"], float(row["l0"]), int(row["dead"]))
            for label, row in rows
        ]
        asked = self.settings
        planned = make_plan(asked.site, facts, asked.only, asked.directions)
        made = [
            _series_of(self.datasets[name]) if name in self.datasets else ()
            for name in (DIRECTIONS, SUBSTITUTIONS)
        ]
        return replace(planned, directions=made[0], substitutions=made[1])

    @cached_property
    def unexplained(self) -> dict[str, float]:
        """By label of an SAE: the share of the activations' variance that it does not explain."""
        known = () if self.saes is None else self.saes["explained_variance"]
        return {str(one[SAE].item()): 1 - float(one) for one in known}

    @property
    def lengths(self) -> Floats:
        """The lengths that were scanned, from 0 on, ``(step,)``."""
        lengths: Floats = self.datasets[DIRECTIONS]["length"].values
        return lengths

    @property
    def paper_lengths(self) -> Floats:
        """The same in GPT-2's units."""
        lengths: Floats = self.datasets[DIRECTIONS]["paper_length"].values
        return lengths

    @property
    def middle(self) -> tuple[str, int]:
        """The scanned length nearest to `MIDDLE_LENGTH` of GPT-2's: how it is called, its step."""
        return next(iter(self.steps_at([MIDDLE_LENGTH]).items()))

    def steps_at(self, lengths: list[int]) -> dict[str, int]:
        """The steps nearest to some lengths of GPT-2's, by how these are called."""
        known = self.paper_lengths
        steps = dict.fromkeys(int(np.abs(known[1:] - one).argmin()) + 1 for one in lengths)
        return {f"{known[step]:g}": step for step in steps}

    @cached_property
    def quantiles(self) -> xr.DataArray:
        """Quantiles of KL over the tokens of a sequence, mean over sequences."""
        return self.run.dataset(DIRECTIONS)["kl_quantile"].mean(SAMPLE)

    @cached_property
    def _known(self) -> dict[tuple[str, str], Estimates]:
        return {}

    def estimates(self, dataset: str = DIRECTIONS, variable: str = "kl") -> Estimates:
        """Means of a variable over samples."""
        key = (dataset, variable)
        if key not in self._known:
            # Opened anew: what a dataset has read it keeps, and there are many large variables.
            self._known[key] = Estimates.of(self.run.dataset(dataset)[variable])
        return self._known[key]

    def curve_of(self, series: Series, variable: str = "kl", dataset: str = DIRECTIONS) -> Curve:
        """The mean of one series at every step, with its interval."""
        return self.estimates(dataset, variable).curve(lambda get: get(series))

    def factor(self, number: Number, dataset: str = DIRECTIONS) -> Numbers:
        """The exponential of a logarithm made of means of KL, with the ends of its interval."""
        found = self.estimates(dataset).decide(number)
        one, low, high = map(float, np.exp([found.number, found.low, found.high]))
        return one, low, high

    def ratio_of(self, over: Series, under: Series | None = None) -> Numbers:
        """Geometric mean over lengths of KL along a series over that along another.

        Args:
            over: The series.
            under: The other; None: the mixture of its site.
        """
        other = under or Series(MIXTURE, over.site)
        return self.factor(lambda get: log_ratio(get, over, other))

    def moved_at(self, where: str = "") -> str:
        """The model and what is moved of it, for captions; ``where``: if not the study's site."""
        moved = "all positions" if self.settings.positions == "all" else "the last position"
        return f"{self.model}, {moved} moved at {where or self.plan.site}"

    @property
    def samples(self) -> int:
        """Sequences that were measured."""
        return int(self.datasets[DIRECTIONS].sizes[SAMPLE])

    @property
    def counted(self) -> str:
        """What every mean is over, for captions."""
        length = self.settings.prompt_length
        tokens = "one token" if self.settings.positions == "last" else f"{length - 2} tokens"
        return f"n = {self.samples} sequences, {tokens} of each"

    @property
    def scaled(self) -> str:
        """How lengths are related to the paper's, for captions."""
        scale = float(self.constants["scale"])
        return "Lengths are the paper's." if scale == 1 else (
            f"Lengths are the paper's times {scale:.3g}, the ratio of this model's activation "
            "norms to GPT-2's."
        )  # fmt: skip


def log_ratio(get: Means, over: Series, under: Series) -> Floats:
    """Mean over all lengths but 0 of ln(KL of one series / KL of another)."""
    ratios: Floats = np.log(get(over)[..., 1:] / get(under)[..., 1:]).mean(axis=-1)
    return ratios


def quotient(over: Series, under: Series) -> Number:
    """Ln of the KL of one substitution over that of another."""

    def divided(get: Means) -> Floats:
        found: Floats = np.log(get(over) / get(under))[..., 0]
        return found

    return divided


def label_of_sae(facts: SaeFacts) -> str:
    """An SAE's name for readers."""
    return f"{FAMILY_SHORT.get(facts.family, facts.family)}, L0 {facts.l0:.0f}"


def _series_of(dataset: xr.Dataset) -> tuple[Series, ...]:
    labels = (dataset[name].values for name in ("kind", "site", "sae"))
    return tuple(Series(*map(str, row)) for row in zip(*labels, strict=True))
