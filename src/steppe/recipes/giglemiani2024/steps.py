"""From a run's curves to its tables: one step per curve, then a row per kind and mode."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from steppe.comparisons import Resamples, beside, compare, mean_interval, read_published
from steppe.core.axes import CONTEXT, KIND, MODE
from steppe.core.seeds import stream
from steppe.recipes.giglemiani2024.outputs import PLATEAU_OUTPUT, StepTable
from steppe.recipes.giglemiani2024.scales import PAPER_MIN_SLOPE, PAPER_SWEEP
from steppe.recipes.giglemiani2024.settings import Settings
from steppe.statistics import ends_at_target, steps_of
from steppe.store import Run

_HERE = "steppe.recipes.giglemiani2024"


@dataclass(frozen=True)
class Analysis:
    """A finished run and the settings its numbers are made with.

    Attributes:
        run: The run.
        settings: What was asked.
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
        asked = {key: value for key, value in resolved.items() if key in Settings.model_fields}
        return cls(
            run=run,
            settings=Settings.model_validate(asked),
            scales=resolved["scales"],
            subject=str(resolved["subject_identity"]["name"]),
        )

    def generator(self, name: str) -> np.random.Generator:
        """The stream of the bootstrap of one table."""
        return stream(self.settings.seed, f"bootstrap_{name}")


def table_steps(analysis: Analysis, table: StepTable) -> xr.DataArray:
    """The step of every curve behind a table, dimensions kind, mode, sample."""
    curves = analysis.run.curves
    kinds = [kind for kind in table.kinds if kind in curves[KIND].values]
    modes = [mode for mode in table.modes if mode in curves[MODE].values]
    chosen = curves.sel({KIND: kinds, MODE: modes})
    values = chosen[table.readout]
    settings: dict[str, Any] = {}
    if table.statistic == "max_slope":
        is_l2 = table.readout == "l2"
        settings["min_slope"] = analysis.scales["min_slope"] if is_l2 else PAPER_MIN_SLOPE
        if analysis.settings.reading == "code":
            settings["end"] = ends_at_target(values, chosen["target_step"])
    return steps_of(values, table.statistic, reading=analysis.settings.reading, **settings)


def plateau_steps(analysis: Analysis, threshold: float) -> xr.DataArray:
    """The plateau step of every base, dimensions context, kind, sample."""
    plateaus = analysis.run.plateaus
    values, reading = plateaus["l2"], analysis.settings.reading
    settings: dict[str, Any] = {"threshold": threshold}
    if reading == "code":
        settings["end"] = ends_at_target(values, plateaus["target_step"])
    return steps_of(values, "plateau", reading=reading, **settings)


def step_table(analysis: Analysis, table: StepTable, steps: xr.DataArray) -> pd.DataFrame:
    """A table's rows, with the published values beside ours."""
    return _compared(analysis, table.name, steps)


def plateau_table(analysis: Analysis) -> pd.DataFrame:
    """Plateau steps per threshold, context and kind; published at 20 in the foreign context."""
    parts = []
    for paper, threshold in zip(PAPER_SWEEP, analysis.scales["sweep"], strict=True):
        steps = plateau_steps(analysis, threshold)
        # Only the paper's own threshold has published values.
        name = PLATEAU_OUTPUT if paper == PAPER_SWEEP[1] else ""
        part = _compared(analysis, name, steps)
        part.insert(1, "threshold", threshold)
        part.insert(2, "paper_threshold", paper)
        parts.append(part)
    return pd.concat(parts, ignore_index=True)


def _compared(analysis: Analysis, name: str, steps: xr.DataArray) -> pd.DataFrame:
    rows = compare(
        steps, generator=analysis.generator("tables"), resamples=analysis.settings.bootstrap
    )
    comparable = analysis.settings.is_paper_setting and bool(name)
    return beside(rows, published_values(), name, comparable=comparable)


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
    rows: list[tuple[str, Sequence[float] | np.ndarray[Any, Any], float | None]] = [
        ("active latents", latents["l0"].values, None),
        ("share of rank 1 (%)", latents["share"].sel(rank=1).values, None),
        ("share of rank 2 (%)", latents["share"].sel(rank=2).values, None),
        ("cosine of pairs", latents["pair_cosine"].values, latents.attrs["pooled_pair_cosine"]),
        ("cosine to the top", latents["top_cosine"].values, latents.attrs["pooled_top_cosine"]),
        ("norm of activations", latents["norm"].values, None),
    ]
    if "curves" in analysis.run.datasets():
        real = analysis.run.curves.sel({KIND: "real"})
        rows += [
            ("distance from base to real target", real["target_distance"].values, None),
            ("cosine of base and real target about b_dec", real["target_cosine"].values, None),
        ]
    made = [_quantity(analysis, name, np.asarray(values), pooled) for name, values, pooled in rows]
    with resources.as_file(resources.files(_HERE) / "published_latents.csv") as path:
        published = pd.read_csv(path)
    return pd.DataFrame(made).merge(published, on="quantity", how="left")


def _quantity(
    analysis: Analysis, name: str, values: np.ndarray[Any, Any], pooled: float | None
) -> dict[str, Any]:
    defined = values[~np.isnan(values.astype(float))].astype(float)
    drawn = Resamples.draw(len(defined), analysis.settings.bootstrap, analysis.generator("latents"))
    low, high = mean_interval(defined, drawn)
    return {
        "quantity": name,
        "n": len(defined),
        "mean": float(defined.mean()),
        "std": float(defined.std()),
        "mean_low": low,
        "mean_high": high,
        "pooled_mean": float("nan") if pooled is None else pooled,
    }


__all__ = [
    "CONTEXT",
    "Analysis",
    "latent_table",
    "plateau_steps",
    "plateau_table",
    "published_values",
    "step_table",
    "table_steps",
]
