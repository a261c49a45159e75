"""Stable regions: does the output change in sharp steps between two real activations?

Janiak et al. 2024 (arXiv 2409.17113). A prompt's activation at the output of block 0, last
position, is interpolated to another prompt's in its own context, and read at the last layer. The
paper's text speaks of the last layer; its code reads what transformers calls the last hidden state,
which is after the final norm: both are measured.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
import xarray as xr
from torch import Tensor

from steppe.activations import KINDS
from steppe.comparisons import earlier_within
from steppe.core.axes import COLUMN, CORNER, KIND, MODE, ROW, SAMPLE, STEP
from steppe.reports import Drawing, Setting, Slice, slices
from steppe.statistics import sharpness
from steppe.store import Template, Variable
from steppe.studies.janiak2024.settings import Settings
from steppe.study import (
    Analysis,
    Bases,
    Claim,
    Context,
    ControlPart,
    CurveFigure,
    CurvePart,
    Figure,
    FunctionPart,
    MeanTable,
    Part,
    Study,
    dataset_spec,
    mostly,
)

Derive = Callable[[Analysis], xr.DataArray]

NEXT, SAME_TOKEN, ONE_CHANGED = "next_prompt", "same_last_token", "one_token_changed"
AFTER_NORM = "l2@ln_final.hook_normalized"
# A path of which the steepest piece rises this many times as fast as a straight line is sharp.
SHARP = 1.5
# How far slices reach, in both coordinates.
SLICE = (-0.25, 1.25)


def targets(context: Context[Settings], bases: Bases) -> dict[str, Tensor]:
    """Activations of other prompts: dissimilar, of the same last token, and all but the same."""
    tokens, order = context.prompts.tokens, context.order
    following = np.array([order[(s + 1) % len(order)] for s in bases.samples])
    last = tokens[:, -1]
    same, changed = following.copy(), tokens[bases.rows].copy()
    for i, (row, generator) in enumerate(
        zip(bases.rows, context.generators("similar_prompt", bases.samples), strict=True)
    ):
        others = np.flatnonzero((last == last[row]) & (tokens != tokens[row]).any(axis=1))
        same[i] = generator.choice(others) if len(others) else -1
        # After BOS, where there is one; by a token that differs.
        place = int((tokens[:, 0] == tokens[0, 0]).all() and tokens.shape[1] > 2)
        others = np.flatnonzero(tokens[:, place] != tokens[row, place])
        changed[i, place] = tokens[generator.choice(others), place] if len(others) else -1
    found = {NEXT: context.activations_of(following), SAME_TOKEN: context.activations_of(same)}
    # No other prompt ends in this token: there is no such target.
    found[SAME_TOKEN][torch.from_numpy(same < 0)] = torch.nan
    unchanged = torch.from_numpy((changed < 0).any(axis=1))
    found[ONE_CHANGED] = context.activations_at(np.maximum(changed, 0))
    found[ONE_CHANGED][unchanged] = torch.nan
    return found


def and_directions(context: Context[Settings], bases: Bases) -> dict[str, Tensor]:
    """Beside them, activations on the directions asked for, as far as a real one."""
    return targets(context, bases) | context.targets(bases, context.settings.directions)


def interpolations(
    settings: Settings, further: Sequence[str] = (), metrics: Sequence[str] = ()
) -> CurvePart:
    """L2 from the base along the straight line and the arc about the mean, to each kind."""
    return CurvePart(
        "interpolations",
        (NEXT, SAME_TOKEN, ONE_CHANGED, *further),
        paths=("linear", "arc"),
        metrics=("l2", AFTER_NORM),
        n_points=settings.n_points,
        targets=and_directions if further else targets,
        further_needs=frozenset().union(*(KINDS.find(kind).needs for kind in further)),
        further_metrics=metrics,
    )


def lay_out_slices(context: Context[Settings]) -> Template:
    """Distances over planes through three activations, from the output at each of them."""
    size = context.settings.plane_points
    return dataset_spec(
        context,
        {
            "distance": Variable(
                (SAMPLE, CORNER, ROW, COLUMN), "normalised units", "L2 from a corner's output"
            ),
            "third": Variable((SAMPLE,), "1", "the coordinate a of the third activation"),
        },
        labels={CORNER: ("A", "B", "C")},
        sizes={ROW: size, COLUMN: size},
        coordinates={COLUMN: np.linspace(*SLICE, size), ROW: np.linspace(*SLICE, size)},
        at_most=context.settings.planes,
    )


def measure_slices(context: Context[Settings], samples: range) -> dict[str, Any]:
    """Points ``A + a (B - A) + b (C - X)``, X the foot of C on AB."""
    bases = context.bases(samples)
    size, order = context.settings.plane_points, context.order
    grid = torch.linspace(*SLICE, size, dtype=torch.float64)
    b, a = (one.reshape(-1, 1) for one in torch.meshgrid(grid, grid, indexing="ij"))
    normalized = context.resolve("ln_final.hook_normalized")
    distances, thirds = [], []
    with context.suffix(read=[normalized], logits=False) as suffix:
        for sample, prefix in zip(samples, bases.prefixes, strict=True):
            rows = order[[(sample + 1) % len(order), (sample + 2) % len(order)]]
            corners = torch.cat([prefix.base.float().cpu()[None], context.activations_of(rows)])
            start, to_b, to_c = corners[0].double(), *(corners[1:] - corners[0]).double()
            share = (to_c @ to_b) / (to_b @ to_b)
            points = (start + a * to_b + b * (to_c - share * to_b)).float()
            read = suffix(prefix, torch.cat([corners, points])).residuals[normalized.name]
            away = torch.cdist(read[:3].double(), read[3:].double())
            distances.append(away.reshape(3, size, size).float().cpu().numpy())
            thirds.append(float(share))
    return {
        "distance": np.stack(distances),
        "third": np.array(thirds, np.float32),
        **bases.variables(),
    }


def parts(settings: Settings) -> list[Part]:
    """Interpolations, the same on untrained weights, and slices."""
    return [
        interpolations(settings, settings.directions, settings.metrics),
        ControlPart("untrained", interpolations(settings)),
        FunctionPart(
            "slices",
            lay_out_slices,
            measure_slices,
            points=lambda s: min(s.samples, s.planes) * s.plane_points**2,
        ),
    ]


def _relative(dataset: str) -> Derive:
    """d(alpha) / d(1) after the final norm; undefined where nothing changed at all."""

    def derive(analysis: Analysis) -> xr.DataArray:
        curves = analysis[f"{dataset}/{AFTER_NORM}"]
        end = curves.isel({STEP: -1}, drop=True)
        return (curves / end.where(end > 0)).rename("relative_l2")

    return derive


def _sharpness(dataset: str, metric: str) -> Derive:
    """The steepest relative slope of each curve; 1 on a straight line."""

    def derive(analysis: Analysis) -> xr.DataArray:
        curves = analysis[f"{dataset}/{metric}"]
        found: xr.DataArray = xr.apply_ufunc(sharpness, curves, input_core_dims=[[STEP]])
        return found

    return derive


def _sharp(analysis: Analysis, dataset: str = "sharpness") -> Any:
    return analysis[dataset].sel({KIND: NEXT, MODE: "linear"}).values


def _end(analysis: Analysis, kind: str) -> Any:
    curves = analysis[f"interpolations/{AFTER_NORM}"]
    return curves.sel({KIND: kind, MODE: "linear"}).isel({STEP: -1}).values


def _above(values: Any) -> Any:
    return np.where(np.isnan(values), np.nan, values > SHARP)


def draw_slices(analysis: Analysis) -> Drawing:
    """The slices, coloured by nearness to the three outputs."""
    dataset = analysis.datasets["slices"].load()
    found = [
        Slice(dataset[COLUMN].values, one["distance"].values, float(one["third"]))
        for one in (dataset.isel({SAMPLE: i}) for i in range(dataset.sizes[SAMPLE]))
    ]
    what = (
        "Planes through the activations A, B and C of three prompts, placed in the prompt of A. "
        "Red, green and blue: how near the output (after the final norm, L2) is to those at A, B "
        "and C, each in parts of its largest distance. Stable regions are areas of one colour."
    )
    return slices(found, what, Setting(model=analysis.model))


MEASURED = "in the last residual stream after the final norm, by L2"
STUDY = Study(
    name="janiak2024",
    paper="Characterizing stable regions in the residual stream of LLMs (Janiak et al. 2024)",
    question="Do outputs change in sharp steps between two real activations?",
    settings=Settings,
    parts=parts,
    derived={
        "relative_l2": _relative("interpolations"),
        "sharpness": _sharpness("interpolations", AFTER_NORM),
        "sharpness_before_norm": _sharpness("interpolations", "l2"),
        "untrained_relative_l2": _relative("untrained"),
        "untrained_sharpness": _sharpness("untrained", AFTER_NORM),
    },
    tables=[
        MeanTable(
            "sharpness",
            f"Steepest relative slope between two real activations, {MEASURED}; 1 on a straight "
            "line, the number of steps for a single jump.",
            of="sharpness",
            median=True,
        ),
        MeanTable(
            "sharpness_before_norm",
            "Steepest relative slope in the last residual stream before the final norm, by L2.",
            of="sharpness_before_norm",
            median=True,
        ),
        MeanTable(
            "untrained_sharpness",
            f"Steepest relative slope in a model with random weights, {MEASURED}.",
            of="untrained_sharpness",
            median=True,
        ),
    ],
    figures=[
        CurveFigure(
            "curves",
            f"Change of the output between two real activations, {MEASURED}, in parts of the whole "
            "change.",
            of="relative_l2",
            dataset="interpolations",
            y_label="d(α) / d(1)",
        ),
        CurveFigure(
            "untrained_curves",
            f"The same in a model with random weights, {MEASURED}.",
            of="untrained_relative_l2",
            dataset="untrained",
            y_label="d(α) / d(1)",
        ),
        Figure("slices", draw_slices, ("slices",)),
    ],
    claims=[
        Claim(
            "JA1",
            "Between the activations of two unrelated prompts the output mostly changes in a sharp "
            f"step: its steepest piece rises over {SHARP:g} times as fast as a straight line.",
            f"share of prompts with a sharpness above {SHARP:g}, minus one half (linear path)",
            mostly,
            ("sharpness",),
            values=lambda run: _above(_sharp(run)),
        ),
        Claim(
            "JA2",
            "The output changes more sharply in the trained model than with random weights.",
            "share of prompts with the larger sharpness in the trained model, minus one half",
            mostly,
            ("sharpness", "untrained_sharpness"),
            values=lambda run: earlier_within(_sharp(run, "untrained_sharpness"), _sharp(run)),
        ),
        Claim(
            "JA3",
            "Prompts that share their last token have nearer outputs than unrelated prompts.",
            "share of prompts with the larger d(1) towards the unrelated one, minus one half",
            mostly,
            ("interpolations", "sharpness"),
            values=lambda run: earlier_within(_end(run, SAME_TOKEN), _end(run, NEXT)),
        ),
        Claim(
            "JA4",
            "Prompts that differ in their first token alone, after BOS where there is one, have "
            "nearer outputs than unrelated prompts.",
            "share of prompts with the larger d(1) towards the unrelated one, minus one half",
            mostly,
            ("interpolations", "sharpness"),
            values=lambda run: earlier_within(_end(run, ONE_CHANGED), _end(run, NEXT)),
        ),
    ],
)
