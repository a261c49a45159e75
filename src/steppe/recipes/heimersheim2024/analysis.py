"""What of a finished run do its tables, claims and figures use? Crossings, curve by curve."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from steppe.comparisons import Resamples, as_ranked
from steppe.core.axes import KIND, MODE, SAMPLE, STEP
from steppe.core.seeds import stream
from steppe.recipes.heimersheim2024.outputs import CONTROLS, DIRECTIONS, PLATEAUS
from steppe.recipes.heimersheim2024.settings import Settings
from steppe.statistics import crossing_step, is_censored
from steppe.store import Run

Floats = NDArray[np.float64]
# What the mean response of a path is taken over: up to a right angle, or to the base's norm.
REACH = {"straight": 1.0, "sphere": 90.0}
CURVE_KIND = "curve_kind"


@dataclass(frozen=True)
class Analysis:
    """A finished run and the settings its numbers are made with.

    Attributes:
        run: The run.
        settings: What the run's settings came to.
        subject: The subject's name.
    """

    run: Run
    settings: Settings
    subject: str

    @classmethod
    def of(cls, run: Run) -> Analysis:
        """Read the settings of a run from its config."""
        resolved = run.config["resolved"]
        return cls(
            run=run,
            settings=Settings.of_run(resolved),
            subject=str(resolved["subject_identity"]["name"]),
        )

    @cached_property
    def parts(self) -> dict[str, xr.Dataset]:
        """The datasets of the run; values are read when they are used."""
        return {name: self.run.dataset(name) for name in self.run.datasets()}

    def resamples(self, name: str, samples: int) -> Resamples:
        """The bootstrap behind one column of medians, over that many samples."""
        generator = stream(self.settings.seed, f"bootstrap_{name}")
        return Resamples.draw(samples, self.settings.bootstrap, generator)

    def crossings(self, part: str, kind: str, mode: str, prefix: str = "") -> Floats:
        """Searched crossings ``(sample, draw)``: infinite where never, NaN where undefined."""
        chosen = self.parts[part].sel({KIND: kind, MODE: mode})
        return as_ranked(chosen[f"{prefix}crossing"].values, chosen[f"{prefix}censored"].values)

    def curves(self, part: str, readout: str, **labels: str) -> tuple[Floats, Floats]:
        """Positions ``(step,)`` and curves ``(sample, step)`` of one kind and mode."""
        dataset = self.parts[part]
        if part == DIRECTIONS:
            labels = {CURVE_KIND if key == KIND else key: name for key, name in labels.items()}
        values = dataset[readout].sel(labels).transpose(SAMPLE, STEP).values
        return dataset[f"{labels[MODE]}_position"].values, values

    def curve_crossings(self, part: str, level: float, **labels: str) -> Floats:
        """Where KL along the curves of one kind and mode first reaches a level, ``(sample,)``."""
        positions, values = self.curves(part, "kl", **labels)
        return level_crossings(positions, values, level)

    def half_rises(self, **labels: str) -> Floats:
        """Where L2 after the final normalisation reaches half of its largest value, ``(sample,)``.

        A level of its own for every control, so that subjects whose KL never crosses can be
        compared.
        """
        positions, values = self.curves(CONTROLS, "l2_normalized", **labels)
        largest = values.max(axis=1, keepdims=True)
        relative = np.divide(values, largest, out=np.full_like(values, np.nan), where=largest > 0)
        return level_crossings(positions, relative, 0.5)

    def responses(self, part: str, readout: str, labels: Mapping[str, str]) -> Floats:
        """Mean of a readout along each curve, up to `REACH`, ``(sample,)``."""
        positions, values = self.curves(part, readout, **labels)
        means: Floats = values[:, positions <= REACH[labels[MODE]] + 1e-9].mean(axis=1)
        return means

    def has(self, *parts: str) -> bool:
        """Whether all these parts were measured."""
        return set(parts) <= self.parts.keys()

    @property
    def curve_parts(self) -> dict[str, list[str]]:
        """Parts that hold curves over kind and mode, and their kinds."""
        found = {}
        for part, dim in ((PLATEAUS, KIND), (DIRECTIONS, CURVE_KIND)):
            if self.has(part):
                found[part] = [str(kind) for kind in self.parts[part][dim].values]
        return found

    @property
    def text(self) -> str:
        """The subject and the site, for captions."""
        resolved: dict[str, Any] = dict(self.run.config["resolved"])
        return f"{self.subject}, moved at {resolved['site']}"


def level_crossings(positions: Floats, values: NDArray[np.floating], level: float) -> Floats:
    """Where curves ``(sample, step)`` first reach a level: infinite where never."""
    steps = crossing_step(values, level)
    # The grid is even, so that a place between two steps is one between their positions.
    return as_ranked(steps * (positions[1] - positions[0]), is_censored(values, level))
