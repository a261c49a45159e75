"""From a run's curves to its tables: one step per curve, then a row per kind and mode."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from functools import cache
from importlib import resources
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from steppe.comparisons import beside, compare, mean_interval, read_published
from steppe.core.axes import CONTEXT, KIND, MODE, RANK, SAMPLE, STEP
from steppe.statistics import ends_at_target, is_censored, steps_of
from steppe.store import CURVES, LATENTS, PLATEAUS
from steppe.studies.giglemiani2024.outputs import KINDS, PLATEAU_OUTPUT, STEP_TABLES, StepTable
from steppe.studies.giglemiani2024.settings import (
    LEVELS,
    MIN_SLOPE,
    PUBLISHED,
    THRESHOLD,
    Settings,
    has_papers_sae,
)
from steppe.study import Analysis, is_published

# Beside each curve's step: whether there was a step to find.
CENSORED = "censored"
# Statistics that wait for a first event: without it, the step is beyond the grid, not undefined.
WAITING = ("plateau", "nonlinearity")


def those_of(curves: xr.Dataset | xr.DataArray, kinds: tuple[str, ...]) -> list[str]:
    """The kinds of a table or figure that were measured, then those of somebody's own."""
    measured = [str(kind) for kind in curves[KIND].values]
    return [
        *(kind for kind in kinds if kind in measured),
        *(kind for kind in measured if kind not in KINDS),
    ]


def table_steps(analysis: Analysis, table: StepTable) -> xr.DataArray:
    """The step of every curve behind a table.

    Returns:
        Dimensions kind, mode, sample; the coordinate ``censored`` says which curves have none. In
        the ``text`` reading of a statistic that waits for an event these count as the grid's end.
    """
    curves = analysis.datasets[CURVES]
    modes = [mode for mode in table.modes if mode in curves[MODE].values]
    chosen = curves.sel({KIND: those_of(curves, table.kinds), MODE: modes})
    values = chosen[table.metric].load()
    reading = analysis.settings.reading
    settings = _settings(table, chosen, analysis.settings, analysis.constants)
    steps = steps_of(values, table.statistic, reading=reading, **settings)
    if table.statistic == "nonlinearity" and reading == "code":
        none = steps == values.sizes[STEP]
    else:
        # The text reading leaves a step undefined where the code's answer is a mere sentinel.
        none = steps_of(values, table.statistic, reading="text", **settings).isnull()
    steps = steps.assign_coords({CENSORED: none})
    waits = reading == "text" and table.statistic in WAITING
    return _up_to_the_end(steps, values) if waits else steps


def _settings(
    table: StepTable, curves: xr.Dataset, settings: Settings, constants: Mapping[str, Any]
) -> dict[str, Any]:
    """What the statistic of a table is asked with: the authors cut absolute curves."""
    if table.statistic != "max_slope" or settings.reading != "code":
        return {}
    scaled = constants["scales"]["min_slope"]
    return {
        "min_slope": scaled if table.metric == "l2" else MIN_SLOPE,
        "end": ends_at_target(curves[table.metric], curves["target_step"]),
    }


def steps_of_curves(
    settings: Settings, constants: Mapping[str, Any], curves: xr.Dataset
) -> dict[str, xr.DataArray]:
    """Every step that tables read off the curves, of all kinds and modes."""
    known = {(table.statistic, table.metric): table for table in STEP_TABLES}
    return {
        f"{statistic} of {metric}": steps_of(
            curves[metric],
            statistic,
            reading=settings.reading,
            **_settings(table, curves, settings, constants),
        )
        for (statistic, metric), table in known.items()
        if metric in curves
    }


def steps_of_plateaus(
    settings: Settings, constants: Mapping[str, Any], plateaus: xr.Dataset
) -> dict[str, xr.DataArray]:
    """The plateau steps at every threshold of the table."""
    return _steps_at(settings, constants["scales"]["sweep"], plateaus)


def steps_of_levels(
    settings: Settings, constants: Mapping[str, Any], plateaus: xr.Dataset
) -> dict[str, xr.DataArray]:
    """The plateau steps at every threshold of `levels_of`."""
    return _steps_at(settings, levels_of(constants), plateaus)


def levels_of(constants: Mapping[str, Any]) -> list[float]:
    """The thresholds along which kinds are compared, in the model's own units.

    They are no part of what decides which points of a curve are computed: a spline through the
    points of the table's thresholds gives the same steps (docs/giglemiani2024.md).
    """
    return [level / THRESHOLD * constants["threshold"] for level in LEVELS]


def _steps_at(
    settings: Settings, thresholds: Sequence[float], plateaus: xr.Dataset
) -> dict[str, xr.DataArray]:
    cut: dict[str, Any] = {}
    if settings.reading == "code":
        cut["end"] = ends_at_target(plateaus["l2"], plateaus["target_step"])
    return {
        f"plateau of l2 at {threshold:.4g}": steps_of(
            plateaus["l2"], "plateau", reading=settings.reading, threshold=threshold, **cut
        )
        for threshold in thresholds
    }


def plateau_steps(analysis: Analysis, threshold: float | None = None) -> xr.DataArray:
    """The plateau step of every base, by the run's threshold unless another is given.

    Returns:
        Dimensions context, kind, sample; the coordinate ``censored`` says which curves never
        cross the threshold; in the ``text`` reading these count as the grid's end, so that a mean
        is the restricted mean up to there.
    """
    threshold = analysis.constants["threshold"] if threshold is None else threshold
    plateaus = analysis.datasets[PLATEAUS]
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
    is_judged = (
        name != PLATEAU_OUTPUT
        and has_papers_sae(analysis.constants["sae_identity"])
        and is_published(analysis.settings, PUBLISHED)
    )
    table = beside(rows, published_values(), name, comparable=is_judged)
    group = CONTEXT if CONTEXT in steps.dims else MODE
    counts = steps[CENSORED].sum(SAMPLE)
    table[CENSORED] = [
        int(counts.sel({KIND: row[KIND], group: row[group]})) for _, row in table.iterrows()
    ]
    return table


def plateau_table(analysis: Analysis, thresholds: Sequence[float]) -> pd.DataFrame:
    """Plateau steps per threshold, context and kind; published at 20 in the foreign context.

    Args:
        analysis: The run.
        thresholds: On L2, in the model's own units.

    Returns:
        The columns of `step_table`, and censored_share: of the curves that are in the mean.
    """
    parts = []
    scales = analysis.constants["scales"]
    for threshold in thresholds:
        paper = threshold / scales["output_ratio"]
        is_papers = math.isclose(paper, THRESHOLD, rel_tol=1e-6)
        steps = plateau_steps(analysis, threshold)
        part = step_table(analysis, PLATEAU_OUTPUT if is_papers else "", steps)
        part.insert(1, "threshold", threshold)
        part.insert(2, "paper_threshold", round(paper, 4))
        part["censored_share"] = part[CENSORED] / part["n"].where(part["n"] > 0)
        parts.append(part)
    return pd.concat(parts, ignore_index=True)


@cache
def published_values() -> pd.DataFrame:
    """The paper's tables, and Figure 3 as read off the stored image."""
    with resources.as_file(resources.files(__package__) / "published.csv") as path:
        return read_published(path)


def latent_table(analysis: Analysis) -> pd.DataFrame:
    """Appendix E: properties of the SAE latents of real activations.

    Intervals are over activations. The two cosines are means over pairs pooled from all
    activations, as in the paper; their intervals are those of the mean per activation and may
    therefore not hold them.
    """
    latents = analysis.datasets[LATENTS]
    shares = {
        f"share of rank {rank} (%)": latents["share"].sel({RANK: rank})
        for rank in latents[RANK].values
    }
    values = {
        "active latents": latents["l0"],
        **shares,
        "cosine of pairs": latents["pair_cosine"],
        "cosine to the top": latents["top_cosine"],
        "norm of activations": latents["norm"],
    }
    if analysis.has(CURVES):
        real = analysis.datasets[CURVES].sel({KIND: "real"})
        values["distance from base to real target"] = real["target_distance"]
        values["cosine of base and real target about b_dec"] = real["target_cosine"]
    pooled = {
        "cosine of pairs": latents.attrs["pooled_pair_cosine"],
        "cosine to the top": latents.attrs["pooled_top_cosine"],
    }
    rows = [
        {"quantity": name, **_summary(analysis, found), "pooled_mean": pooled.get(name, math.nan)}
        for name, found in values.items()
    ]
    with resources.as_file(resources.files(__package__) / "published_latents.csv") as path:
        return pd.DataFrame(rows).merge(pd.read_csv(path), on="quantity", how="left")


def _summary(analysis: Analysis, values: xr.DataArray) -> dict[str, Any]:
    numbers = values.values.astype(np.float64)
    defined = numbers[~np.isnan(numbers)]
    drawn = analysis.resamples("latents", max(len(defined), 1))
    low, high = mean_interval(defined, drawn)
    mean, std = (defined.mean(), defined.std()) if len(defined) else (math.nan, math.nan)
    return {
        "n": len(defined),
        "mean": float(mean),
        "std": float(std),
        "mean_low": low,
        "mean_high": high,
    }
