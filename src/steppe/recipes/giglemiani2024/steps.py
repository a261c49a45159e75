"""From a run's curves to its tables: one step per curve, then a row per kind and mode."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from importlib import resources
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from steppe.comparisons import Resamples, beside, compare, mean_interval, read_published
from steppe.core.axes import CONTEXT, KIND, MODE, RANK, SAMPLE, STEP
from steppe.core.seeds import stream
from steppe.recipes.giglemiani2024.outputs import PLATEAU_OUTPUT, StepTable
from steppe.recipes.giglemiani2024.scales import (
    PAPER_MIN_SLOPE,
    PAPER_STEP_SIZE,
    PAPER_THRESHOLD,
)
from steppe.recipes.giglemiani2024.settings import Settings
from steppe.recipes.study_settings import PAPER_PROMPTS
from steppe.statistics import ends_at_target, is_censored, steps_of
from steppe.store import CURVES, Run

_HERE = "steppe.recipes.giglemiani2024"
PAPER_SAMPLES = 1000
# Beside each curve's step: whether there was a step to find.
CENSORED = "censored"
# Statistics that wait for a first event: without it, the step is beyond the grid, not undefined.
WAITING = ("plateau", "nonlinearity")


@dataclass(frozen=True)
class Analysis:
    """A finished run and the settings its numbers are made with.

    Attributes:
        run: The run.
        settings: What the run's settings came to.
        scales: The run's constants, as saved in its config.
        subject: The subject's name.
    """

    run: Run
    settings: Settings
    scales: Mapping[str, Any]
    subject: str

    @classmethod
    def of(cls, run: Run) -> Analysis:
        """Read the settings of a run from its config."""
        resolved = run.config["resolved"]
        return cls(
            run=run,
            settings=Settings.of_run(resolved),
            scales=resolved["scales"],
            subject=str(resolved["subject_identity"]["name"]),
        )

    @cached_property
    def is_comparable(self) -> bool:
        """Whether a verdict on the published numbers is fair: everything is as published."""
        settings = self.settings
        return (
            settings.is_published_setup
            and settings.prompts_source == PAPER_PROMPTS
            and settings.reading == "code"
            and settings.dtype == "float32"
            and settings.samples >= PAPER_SAMPLES
            and self.scales["step_size"] == PAPER_STEP_SIZE
            and self.scales["threshold"] == PAPER_THRESHOLD
        )

    @property
    def grid_step(self) -> float:
        """Length of one step of an absolute path as it was measured."""
        size: float = self.scales["step_size"]
        return size * 100 / 99 if self.settings.reading == "code" else size

    def generator(self, name: str) -> np.random.Generator:
        """The stream of the bootstrap of one table."""
        return stream(self.settings.seed, f"bootstrap_{name}")


def table_steps(analysis: Analysis, table: StepTable) -> xr.DataArray:
    """The step of every curve behind a table.

    Returns:
        Dimensions kind, mode, sample; the coordinate ``censored`` says which curves have none. In
        the ``text`` reading of a statistic that waits for an event these count as the grid's end.
    """
    curves = analysis.run.curves
    kinds = [kind for kind in table.kinds if kind in curves[KIND].values]
    modes = [mode for mode in table.modes if mode in curves[MODE].values]
    chosen = curves.sel({KIND: kinds, MODE: modes})
    values = chosen[table.readout].load()
    reading = analysis.settings.reading
    settings: dict[str, Any] = {}
    if table.statistic == "max_slope" and reading == "code":
        is_l2 = table.readout == "l2"
        settings["min_slope"] = analysis.scales["min_slope"] if is_l2 else PAPER_MIN_SLOPE
        settings["end"] = ends_at_target(values, chosen["target_step"])
    steps = steps_of(values, table.statistic, reading=reading, **settings)
    if table.statistic == "nonlinearity" and reading == "code":
        none = steps == values.sizes[STEP]
    else:
        # The text reading leaves a step undefined where the code's answer is a mere sentinel.
        none = steps_of(values, table.statistic, reading="text", **settings).isnull()
    steps = steps.assign_coords({CENSORED: none})
    waits = reading == "text" and table.statistic in WAITING
    return _up_to_the_end(steps, values) if waits else steps


def plateau_steps(analysis: Analysis, threshold: float) -> xr.DataArray:
    """The plateau step of every base.

    Returns:
        Dimensions context, kind, sample; the coordinate ``censored`` says which curves never
        cross the threshold; in the ``text`` reading these count as the grid's end, so that a mean
        is the restricted mean up to there.
    """
    plateaus = analysis.run.plateaus
    values, reading = plateaus["l2"].load(), analysis.settings.reading
    settings: dict[str, Any] = {"threshold": threshold}
    ends = None
    if reading == "code":
        settings["end"] = ends_at_target(values, plateaus["target_step"])
        ends = settings["end"].transpose(*values.dims[:-1]).values
    steps = steps_of(values, "plateau", reading=reading, **settings)
    none = is_censored(values.values, threshold, ends)
    steps = steps.assign_coords({CENSORED: (steps.dims, none)})
    return _up_to_the_end(steps, values) if reading == "text" else steps


def _up_to_the_end(steps: xr.DataArray, values: xr.DataArray) -> xr.DataArray:
    """Steps in which curves without one have the grid's last; those with a gap stay undefined."""
    late = steps[CENSORED] & values.notnull().all(STEP)
    return steps.where(~late, values.sizes[STEP] - 1)


def step_table(analysis: Analysis, name: str, steps: xr.DataArray) -> pd.DataFrame:
    """A table's rows: ours, the published ones beside them, and how many curves have no step.

    Args:
        analysis: The run.
        name: The published table they are set beside; empty for none.
        steps: The steps, with the coordinate ``censored``.
    """
    rows = compare(
        steps.drop_vars(CENSORED),
        generator=analysis.generator("tables"),
        resamples=analysis.settings.bootstrap,
    )
    # Figure 3 was read off an image that ends at step 40: beside ours, but not to be judged by.
    comparable = analysis.is_comparable and name != PLATEAU_OUTPUT
    table = beside(rows, published_values(), name, comparable=comparable)
    group = CONTEXT if CONTEXT in steps.dims else MODE
    counts = steps[CENSORED].sum(SAMPLE)
    table[CENSORED] = [
        int(counts.sel({KIND: row[KIND], group: row[group]})) for _, row in table.iterrows()
    ]
    return table


def plateau_table(analysis: Analysis) -> pd.DataFrame:
    """Plateau steps per threshold, context and kind; published at 20 in the foreign context.

    Returns:
        The columns of `step_table`, and censored_share: of the curves that are in the mean.
    """
    parts = []
    for threshold in analysis.scales["sweep"]:
        paper = threshold / analysis.scales["output_ratio"]
        is_papers = math.isclose(paper, PAPER_THRESHOLD, rel_tol=1e-6)
        steps = plateau_steps(analysis, threshold)
        part = step_table(analysis, PLATEAU_OUTPUT if is_papers else "", steps)
        part.insert(1, "threshold", threshold)
        part.insert(2, "paper_threshold", round(paper, 4))
        part["censored_share"] = part[CENSORED] / part["n"].where(part["n"] > 0)
        parts.append(part)
    return pd.concat(parts, ignore_index=True)


def published_values() -> pd.DataFrame:
    """The paper's tables, and Figure 3 as read off the stored image."""
    with resources.as_file(resources.files(_HERE) / "published.csv") as path:
        return read_published(path)


def latent_table(analysis: Analysis) -> pd.DataFrame:
    """Appendix E: properties of the SAE latents of real activations.

    Intervals are over activations. The two cosines are means over pairs pooled from all
    activations, as in the paper; their intervals are those of the mean per activation and may
    therefore not hold them.
    """
    latents = analysis.run.latents
    rows: list[tuple[str, Any, float | None]] = [("active latents", latents["l0"].values, None)]
    rows += [
        (f"share of rank {rank} (%)", latents["share"].sel({RANK: rank}).values, None)
        for rank in latents[RANK].values
    ]
    rows += [
        ("cosine of pairs", latents["pair_cosine"].values, latents.attrs["pooled_pair_cosine"]),
        ("cosine to the top", latents["top_cosine"].values, latents.attrs["pooled_top_cosine"]),
        ("norm of activations", latents["norm"].values, None),
    ]
    if CURVES in analysis.run.datasets():
        real = analysis.run.curves.sel({KIND: "real"})
        rows += [
            ("distance from base to real target", real["target_distance"].values, None),
            ("cosine of base and real target about b_dec", real["target_cosine"].values, None),
        ]
    made = [_quantity(analysis, name, values, pooled) for name, values, pooled in rows]
    with resources.as_file(resources.files(_HERE) / "published_latents.csv") as path:
        published = pd.read_csv(path)
    return pd.DataFrame(made).merge(published, on="quantity", how="left")


def _quantity(
    analysis: Analysis, name: str, values: Sequence[float], pooled: float | None
) -> dict[str, Any]:
    numbers = np.asarray(values, dtype=np.float64)
    defined = numbers[~np.isnan(numbers)]
    drawn = Resamples.draw(
        max(len(defined), 1), analysis.settings.bootstrap, analysis.generator("latents")
    )
    low, high = mean_interval(defined, drawn)
    return {
        "quantity": name,
        "n": len(defined),
        "mean": float(defined.mean()) if len(defined) else math.nan,
        "std": float(defined.std()) if len(defined) else math.nan,
        "mean_low": low,
        "mean_high": high,
        "pooled_mean": math.nan if pooled is None else pooled,
    }
