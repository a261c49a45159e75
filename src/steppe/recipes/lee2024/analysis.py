"""From a finished run to numbers with intervals: means over tokens and samples, and their ratios.

Every interval comes from leaving out one sample (sequence) at a time, the same one of every series:
what is compared was measured on the same sequences.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from steppe.comparisons import Parts, parts_of, ratio
from steppe.core.axes import SAE, SAMPLE, SERIES
from steppe.recipes.deciding import Decision
from steppe.recipes.lee2024.outputs import DIRECTIONS, SAES, SUBSTITUTIONS
from steppe.recipes.lee2024.plan import (
    DOWNSTREAM,
    E2E,
    LOCAL,
    Plan,
    SaeFacts,
    Series,
    make_plan,
)
from steppe.recipes.lee2024.settings import Settings
from steppe.store import Run

Floats = NDArray[np.float64]
# From a series to its means: (step,), or (sample, step) with that sample left out.
Means = Callable[[Series], Floats]
# How families of SAEs are called in labels.
FAMILY_SHORT = {LOCAL: "local", E2E: "e2e", DOWNSTREAM: "e2e+ds"}
# The length, in GPT-2's units, that stands for all where there is room for one.
MIDDLE_LENGTH = 51
# Where activations are moved when layers are compared.
OWN_SITES = "each SAE's own site"


@dataclass(frozen=True, eq=False)
class Analysis:
    """A finished run, and the settings its numbers are made with.

    Attributes:
        run: The run.
        settings: What the run's settings came to.
    """

    run: Run
    settings: Settings

    @classmethod
    def of(cls, run: Run) -> Analysis:
        """Read the settings of a run from its config."""
        return cls(run, Settings.of_run(run.config["resolved"]))

    @cached_property
    def directions(self) -> xr.Dataset:
        """What was measured along directions: series, sample, step; read when it is used."""
        return self.run.dataset(DIRECTIONS)

    @cached_property
    def substitutions(self) -> xr.Dataset | None:
        """What was measured under substitutions: series, sample; None when nothing was."""
        has_some = SUBSTITUTIONS in self.run.datasets()
        return self.run.dataset(SUBSTITUTIONS) if has_some else None

    @cached_property
    def saes(self) -> xr.Dataset | None:
        """What is known of the SAEs; None when there are none."""
        return self.run.dataset(SAES).load() if SAES in self.run.datasets() else None

    @cached_property
    def plan(self) -> Plan:
        """What the run measured."""
        facts = []
        if self.saes is not None:
            table = self.saes.to_dataframe()
            facts = [
                SaeFacts(str(label), row["site"], row["family"], float(row["l0"]), int(row["dead"]))
                for label, row in table.iterrows()
            ]
        planned = make_plan(self.settings.site, facts, self.settings.only)
        made = () if self.substitutions is None else _series_of(self.substitutions)
        return replace(planned, directions=_series_of(self.directions), substitutions=made)

    @property
    def subject(self) -> str:
        """The subject's name."""
        return str(self.run.config["resolved"]["subject_identity"]["name"])

    @property
    def scale(self) -> float:
        """Lengths in this subject per length in GPT-2."""
        return float(self.run.config["resolved"]["scale"])

    @property
    def lengths(self) -> Floats:
        """The lengths that were scanned, from 0 on, ``(step,)``."""
        lengths: Floats = self.directions["length"].values
        return lengths

    @property
    def samples(self) -> int:
        """Sequences that were measured."""
        return int(self.directions.sizes[SAMPLE])

    def moved_at(self, where: str = "") -> str:
        """The subject and what is moved of it, for captions; ``where``: if not the study's site."""
        moved = "all positions" if self.settings.positions == "all" else "the last position"
        return f"{self.subject}, {moved} moved at {where or self.plan.site}"

    @property
    def counted(self) -> str:
        """What every mean is over, for captions."""
        length = self.settings.prompt_length
        tokens = "one token" if self.settings.positions == "last" else f"{length - 2} tokens"
        return f"n = {self.samples} sequences, {tokens} of each"

    @property
    def middle(self) -> tuple[str, int]:
        """The scanned length nearest to `MIDDLE_LENGTH` of GPT-2's: how it is called, its step."""
        lengths = self.directions["paper_length"].values
        step = int(np.abs(lengths[1:] - MIDDLE_LENGTH).argmin()) + 1
        return f"{lengths[step]:g}", step

    @cached_property
    def quantiles(self) -> xr.DataArray:
        """Quantiles of KL over the tokens of a sequence, mean over sequences."""
        return self.run.dataset(DIRECTIONS)["kl_quantile"].mean(SAMPLE)

    def estimates(self, dataset: str, variable: str) -> Estimates:
        """Means of a variable over samples."""
        key = (dataset, variable)
        if key not in self._known:
            # Opened anew: what a dataset has read it keeps, and there are many large variables.
            self._known[key] = Estimates.of(self.run.dataset(dataset)[variable])
        return self._known[key]

    @cached_property
    def _known(self) -> dict[tuple[str, str], Estimates]:
        return {}

    def curve(self, function: Callable[[Means], Floats], variable: str = "kl") -> Curve:
        """A function of mean curves along directions, at every step, with its interval."""
        return self.estimates(DIRECTIONS, variable).curve(function)

    def curve_of(self, series: Series, variable: str = "kl", dataset: str = DIRECTIONS) -> Curve:
        """The mean of one series at every step, with its interval."""
        return self.estimates(dataset, variable).curve(lambda get: get(series))

    def ratio_of(self, over: Series, under: Series) -> Decision:
        """Geometric mean over lengths of KL along one series over that along another."""
        return self.factor(lambda get: log_ratio(get, over, under))

    def factor(self, function: Callable[[Means], Floats], dataset: str = DIRECTIONS) -> Decision:
        """The exponential of a logarithm made of means, with its interval."""
        found = self.number(function, dataset=dataset)
        number, low, high = np.exp([found.number, found.low, found.high])
        return Decision(float(number), float(low), float(high), found.p)

    def number(
        self,
        function: Callable[[Means], Floats],
        variable: str = "kl",
        dataset: str = DIRECTIONS,
    ) -> Decision:
        """A number made of means, or several as in `Parts`, with the interval."""
        return Decision.of_parts(self.estimates(dataset, variable).parts(function))


@dataclass(frozen=True, eq=False)
class Curve:
    """Numbers with intervals.

    Attributes:
        mean: ``(step,)``.
        low: Lower ends of the 95% intervals.
        high: Upper ends.
    """

    mean: Floats
    low: Floats
    high: Floats


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

    def parts(self, function: Callable[[Means], Floats]) -> Parts:
        """A function of means, ``(row, column)`` or one number, with standard errors."""
        whole, left, samples = self._apply(function)
        return replace(parts_of(whole, left), samples=samples)

    def curve(self, function: Callable[[Means], Floats]) -> Curve:
        """A function of means at every step, each with its own interval."""
        whole, left, samples = self._apply(function)
        low, high = replace(parts_of(whole, left), samples=samples).each()
        return Curve(whole, low, high)

    def _apply(self, function: Callable[[Means], Floats]) -> tuple[Floats, Floats, int]:
        """Of all samples, without each of them, and in how many every series is defined."""
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
            whole = np.asarray(function(lambda series: means[self.places[series.name]]))
            return whole, np.asarray(function(without_each)), min(used)


def log_ratio(get: Means, over: Series, under: Series) -> Floats:
    """Mean over all lengths but 0 of ln(KL of one series / KL of another)."""
    ratios: Floats = np.log(get(over)[..., 1:] / get(under)[..., 1:]).mean(axis=-1)
    return ratios


def _series_of(dataset: xr.Dataset) -> tuple[Series, ...]:
    labels = (dataset[name].values for name in ("kind", "site", "sae"))
    return tuple(Series(*map(str, row)) for row in zip(*labels, strict=True))


def label_of_sae(facts: SaeFacts) -> str:
    """An SAE's name for readers."""
    return f"{FAMILY_SHORT.get(facts.family, facts.family)}, L0 {facts.l0:.0f}"


def sae_column(table: xr.Dataset, name: str) -> Mapping[str, float]:
    """One column of the SAEs' dataset, by label."""
    return dict(zip(map(str, table[SAE].values), map(float, table[name].values), strict=True))
