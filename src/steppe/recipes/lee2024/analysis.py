"""From a finished run to numbers with intervals: means over tokens and samples, and their ratios.

Every interval is a bootstrap over samples (sequences), the same resamples for every series: what is
compared was measured on the same sequences.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from steppe.comparisons import Resamples, corrected_interval
from steppe.core.axes import SAE, SAMPLE, SERIES
from steppe.core.seeds import stream
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
# From a series to its means: (step,), or (resample, step) when a function is resampled.
Means = Callable[[Series], Floats]
LEVEL = 0.95
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

    @cached_property
    def drawn(self) -> Resamples:
        """The resamples behind every interval."""
        return Resamples.draw(
            self.samples, self.settings.bootstrap, stream(self.settings.seed, "bootstrap_lee2024")
        )

    def estimates(self, dataset: str, variable: str) -> Estimates:
        """Means of a variable over samples, and their resamples."""
        key = (dataset, variable)
        if key not in self._known:
            # Opened anew: what a dataset has read it keeps, and there are many large variables.
            self._known[key] = Estimates.of(self.run.dataset(dataset)[variable], self.drawn)
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
        found = self.number(lambda get: log_ratio(get, over, under))
        number, low, high = np.exp([found.number, found.low, found.high])
        return Decision(float(number), float(low), float(high), found.p)

    def number(
        self,
        function: Callable[[Means], Floats],
        variable: str = "kl",
        dataset: str = DIRECTIONS,
    ) -> Decision:
        """A number made of means, with its interval."""
        found, drawn = self.estimates(dataset, variable).apply(function)
        return Decision.of_resamples(float(found), drawn)


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
    """Means over samples of every series, and of resamples of the same samples.

    Attributes:
        places: Where each series is, by its name.
        means: ``(series, step)``; substitutions have one step.
        resampled: ``(resample, series, step)``.
    """

    places: Mapping[str, int]
    means: Floats
    resampled: Floats

    @classmethod
    def of(cls, values: xr.DataArray, drawn: Resamples) -> Estimates:
        """Average over samples; those in which a series is undefined are left out of its mean."""
        places = {str(name): index for index, name in enumerate(values[SERIES].values)}
        ordered = values.transpose(SAMPLE, SERIES, ...).values.astype(np.float64)
        rows = ordered.reshape(len(ordered), -1)
        defined = ~np.isnan(rows)
        sums = [np.where(defined, rows, 0.0), defined.astype(np.float64)]
        means = _ratio(*(part.sum(axis=0) for part in sums))
        resampled = []
        for block in drawn.blocks(width=64):
            times = np.stack([np.bincount(row, minlength=len(rows)) for row in block])
            resampled.append(_ratio(*(times.astype(np.float64) @ part for part in sums)))
        shape = (len(places), -1)
        return cls(
            places, means.reshape(shape), np.concatenate(resampled).reshape(drawn.count, *shape)
        )

    def apply(self, function: Callable[[Means], Floats]) -> tuple[Floats, Floats]:
        """A function of means, of the means themselves and of every resample."""
        with np.errstate(invalid="ignore", divide="ignore"):
            return (
                function(lambda series: self.means[self.places[series.name]]),
                function(lambda series: self.resampled[:, self.places[series.name]]),
            )

    def curve(self, function: Callable[[Means], Floats]) -> Curve:
        """Apply a function of means to every step, with intervals."""
        mean, drawn = self.apply(function)
        ends = [
            corrected_interval(float(x), column, LEVEL)
            for x, column in zip(mean, drawn.T, strict=True)
        ]
        return Curve(mean, np.array([e.low for e in ends]), np.array([e.high for e in ends]))


def log_ratio(get: Means, over: Series, under: Series) -> Floats:
    """Mean over all lengths but 0 of ln(KL of one series / KL of another)."""
    ratios: Floats = np.log(get(over)[..., 1:] / get(under)[..., 1:]).mean(axis=-1)
    return ratios


def _ratio(sums: Any, counts: Any) -> Floats:
    ratios = np.full(np.shape(sums), np.nan)
    np.divide(sums, counts, out=ratios, where=counts > 0)
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
