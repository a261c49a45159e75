"""Activation plateaus: where do they arise along depth, and which parts make them?

Shinkle and Heimersheim 2025: two prompts that differ in their last token; the activation of one is
moved to that of the other, at every block's output, and the output is looked at after every part
of every later block.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr
from numpy.typing import NDArray

from steppe.comparisons import earlier_within
from steppe.core.axes import BLOCK, KIND, MODE, MOVED, READ, SAMPLE, STEP
from steppe.reports import Drawing
from steppe.reports.bands import Band, Panel, draw_bands
from steppe.reports.curve_bands import Spread
from steppe.reports.style import shades
from steppe.statistics import transition_width
from steppe.studies.shinkle2025.measuring import (
    ATTENTION,
    LOGITS,
    MLP,
    MODES,
    NORMS,
    NOTHING,
    POST,
    lay_out_depth,
    lay_out_directions,
    lay_out_frozen,
    lay_out_jacobians,
    measure_depth,
    measure_directions,
    measure_frozen,
    measure_jacobians,
)
from steppe.studies.shinkle2025.settings import DIRECTIONS, Settings
from steppe.study import (
    Analysis,
    Claim,
    ControlPart,
    Figure,
    FunctionPart,
    MeanTable,
    Part,
    Study,
    Table,
    mostly,
)

COLORS = {NOTHING: "#0072B2", ATTENTION: "#009E73", MLP: "#D55E00"}
NORM_COLORS = {"mlp": "#D55E00", "attention": "#009E73", "block": "#0072B2", "suffix": "0.3"}
ALONG, WIDTH = "fraction of the path", "transition width"


def parts(settings: Settings) -> list[Part]:
    """Every depth, frozen parts with random weights as a control, Jacobians, and directions."""
    frozen = FunctionPart(
        "frozen",
        lay_out_frozen,
        measure_frozen,
        points=lambda s: 3 * s.samples * s.n_points,
    )
    return [
        FunctionPart("depth", lay_out_depth, measure_depth),
        frozen,
        ControlPart("untrained", frozen),
        FunctionPart("jacobians", lay_out_jacobians, measure_jacobians),
        *([_directions(settings)] if settings.directions else []),
    ]


def _directions(settings: Settings) -> FunctionPart:
    """Frozen parts along the directions that were asked for."""
    return FunctionPart(
        DIRECTIONS,
        lay_out_directions,
        measure_directions,
        settings.direction_needs,
        points=lambda s: 3 * len(s.directions) * s.samples * s.n_points,
    )


def _widths(curves: xr.DataArray) -> xr.DataArray:
    found: xr.DataArray = xr.apply_ufunc(transition_width, curves, input_core_dims=[[STEP]])
    return found


def widths_of_depth(analysis: Analysis) -> xr.DataArray:
    """Transition widths of the stream after every later block, and of the logits."""
    curves = analysis["depth/relative_distance"]
    streams = [str(r) for r in curves[READ].values if str(r).endswith("hook_resid_post")]
    return _widths(curves.sel({READ: [*streams, LOGITS]}))


def jacobians_over_mean(analysis: Analysis) -> xr.DataArray:
    """Each part's norm in parts of its mean along the path, averaged over blocks."""
    norms = analysis["jacobians/norm"]
    return (norms / norms.mean(STEP)).mean(BLOCK)


def steeper_within(analysis: Analysis) -> NDArray[np.float64]:
    """The MLPs' norm inside of the transition over that outside, minus 1, ``(sample,)``."""
    norms = analysis["jacobians_over_mean"].sel({KIND: "mlp"})
    distance = analysis["jacobians/relative_distance"]
    inside = (distance > 0.1) & (distance < 0.9)
    ratio = norms.where(inside).mean(STEP) / norms.where(~inside).mean(STEP) - 1
    found: NDArray[np.float64] = ratio.transpose(SAMPLE).values
    return found


def _depths(analysis: Analysis) -> tuple[Any, Any]:
    """Widths after the first and the last block that follow block 0, ``(sample,)`` each."""
    widths = analysis["depth_widths"].sel({MOVED: 0, MODE: MODES[0]})
    return widths.sel({READ: POST.format(1)}).values, widths.isel({READ: -2}).values


def _frozen(analysis: Analysis, kind: str, of: str = "frozen_widths") -> Any:
    return analysis[of].sel({KIND: kind}).values


def _by_depth(analysis: Analysis) -> pd.DataFrame:
    """One row per block moved, path and site read: how many widths, their median and quartiles."""
    widths = analysis["depth_widths"].transpose(MOVED, MODE, READ, SAMPLE)
    rows = []
    for moved in widths[MOVED].values:
        for mode in widths[MODE].values:
            for read in widths[READ].values:
                values = widths.sel({MOVED: moved, MODE: mode, READ: read}).values
                known = values[~np.isnan(values)]
                if not len(known):
                    continue
                low, median, high = np.quantile(known, [0.25, 0.5, 0.75])
                row = {MOVED: int(moved), MODE: str(mode), READ: str(read), "n": len(known)}
                rows.append(row | {"median": median, "quarter": low, "three_quarters": high})
    return pd.DataFrame(rows)


def _jacobian_table(analysis: Analysis) -> pd.DataFrame:
    dataset = analysis.datasets["jacobians"].load()
    dims = (SAMPLE, STEP)
    norm, error = dataset["norm"].mean(dims), dataset["norm_error"].mean(dims)
    rows = [
        {KIND: kind, BLOCK: int(block), "n": dataset.sizes[SAMPLE]}
        | {"norm": float(norm.sel({KIND: kind, BLOCK: block}))}
        | {"standard_error_of_one": float(error.sel({KIND: kind, BLOCK: block}))}
        for kind in NORMS
        for block in dataset[BLOCK].values
    ]
    whole = {KIND: "suffix", BLOCK: "all", "n": dataset.sizes[SAMPLE]}
    whole |= {"norm": float(dataset["suffix_norm"].mean())}
    return pd.DataFrame(
        [*rows, whole | {"standard_error_of_one": float(dataset["suffix_norm_error"].mean())}]
    )


def _ends(analysis: Analysis) -> pd.DataFrame:
    errors = analysis["depth/end_error"]
    return pd.DataFrame({MOVED: errors[MOVED].values, "largest": errors.max((MODE, SAMPLE)).values})


def _band(label: str, x: Any, curves: xr.DataArray, color: str) -> Band:
    """Median and middle half over samples."""
    along = next(str(dim) for dim in curves.dims if dim != SAMPLE)
    spread = Spread.of(curves.transpose(SAMPLE, along).values)
    return Band(label, x, spread.middle, color, spread.low, spread.high)


def _caption(analysis: Analysis, what: str, samples: int) -> str:
    return (
        f"{what} Lines: medians of {samples} pairs of prompts; bands: their middle half. "
        f"Model: {analysis.model}."
    )


def draw_depth(analysis: Analysis) -> Drawing:
    """Curves after each block, and how widths shrink with depth."""
    curves = analysis["depth/relative_distance"].sel({MOVED: 0, MODE: MODES[0]})
    widths = analysis["depth_widths"].sel({MODE: MODES[0]})
    count = widths.sizes[MOVED]
    blocks, colors = range(count), shades("#0072B2", count)
    read = {b: curves.sel({READ: POST.format(b)}) for b in blocks[1:]}
    after = [_band(f"block {b}", one[STEP], one, colors[b]) for b, one in read.items()]
    depth = []
    for moved in blocks[:-1]:
        later = [POST.format(b) for b in blocks[moved + 1 :]]
        median = widths.sel({MOVED: moved, READ: [*later, LOGITS]}).median(SAMPLE)
        x = [*blocks[moved + 1 :], count]
        depth.append(Band(f"block {moved}", x, median.values, colors[moved], marker="o"))
    panels = [
        Panel("Moved at block 0, read after a block", after, ALONG, "relative distance"),
        Panel("Moved at a block", depth, f"read after block ({count}: logits)", WIDTH, level=0.8),
    ]
    what = (
        "How the output goes over between two prompts that differ in their last token (slerp). "
        "Dotted: 0.8, the width of a straight line."
    )
    return draw_bands(panels, _caption(analysis, what, curves.sizes[SAMPLE]))


def draw_frozen(analysis: Analysis) -> Drawing:
    """Curves with parts frozen, trained and with random weights."""
    panels = []
    for dataset, title in (("frozen", "Trained"), ("untrained", "Random weights")):
        curves = analysis[f"{dataset}/relative_distance"]
        bands = [
            _band(kind.replace("_", " "), curves[STEP], curves.sel({KIND: kind}), color)
            for kind, color in COLORS.items()
        ]
        panels.append(Panel(title, bands, ALONG, "relative distance of logits"))
    to = "mean over the path" if analysis.settings.reading == "code" else "value at the base"
    what = f"Attention, or MLPs, of all blocks after the site frozen to their {to}."
    return draw_bands(panels, _caption(analysis, what, curves.sizes[SAMPLE]), same_y=True)


def draw_boundaries(analysis: Analysis) -> Drawing:
    """Where along the path parts answer most strongly, and where the logits move."""
    norms = analysis["jacobians_over_mean"]
    suffix = analysis["jacobians/suffix_norm"]
    distance = analysis["jacobians/relative_distance"]
    bands = [_band(kind, norms[STEP], norms.sel({KIND: kind}), NORM_COLORS[kind]) for kind in NORMS]
    bands.append(_band("suffix", norms[STEP], suffix / suffix.mean(STEP), NORM_COLORS["suffix"]))
    logits = _band("logits", distance[STEP], distance, "#CC79A7")
    panels = [
        Panel("Jacobians", bands, ALONG, "norm / mean of the path", level=1.0),
        Panel("Output", [logits], ALONG, "relative distance"),
    ]
    what = "Frobenius norms of Jacobians along the path, averaged over blocks."
    return draw_bands(panels, _caption(analysis, what, distance.sizes[SAMPLE]))


def draw_flips(analysis: Analysis) -> Drawing:
    """Sign flips and step sizes along the path."""
    flips = analysis["depth/sign_flips"].sel({MOVED: 0, MODE: MODES[0]})
    steps = analysis["depth/step_size"].sel({MOVED: 0, MODE: MODES[0]})
    blocks = [int(b) for b in flips[BLOCK].values[1:]]
    colors = dict(zip(blocks, shades("#D55E00", len(blocks)), strict=True))
    inner = slice(1, None)
    shown: Mapping[str, list[Band]] = {
        "share of flips per unit": [
            _band(f"block {b}", flips[STEP][inner], flips.sel({BLOCK: b})[:, inner], colors[b])
            for b in blocks
        ],
        "step size (L2)": [
            _band(f"block {b}", steps[STEP][inner], one[:, inner], colors[b])
            for b in blocks
            for one in [steps.sel({READ: POST.format(b)}).transpose(SAMPLE, STEP)]
        ],
    }
    titles = ("Sign patterns of MLPs", "Residual stream after a block")
    panels = [
        Panel(title, bands, ALONG, label)
        for title, (label, bands) in zip(titles, shown.items(), strict=True)
    ]
    what = "Moved at block 0 (slerp)."
    return draw_bands(panels, _caption(analysis, what, flips.sizes[SAMPLE]))


STUDY = Study(
    name="shinkle2025",
    paper="Activation plateau mechanisms (Shinkle & Heimersheim 2025)",
    question="Which parts of a model make its activation plateaus?",
    settings=Settings,
    parts=parts,
    derived={
        "depth_widths": widths_of_depth,
        "frozen_widths": lambda run: _widths(run["frozen/relative_distance"]),
        "untrained_widths": lambda run: _widths(run["untrained/relative_distance"]),
        "jacobians_over_mean": jacobians_over_mean,
        "direction_widths": lambda run: _widths(run[f"{DIRECTIONS}/relative_distance"]),
    },
    tables=[
        Table(
            "depth_widths",
            "Transition width t(0.9) - t(0.1) of the relative distance, by block moved, path and "
            "site read: medians and quartiles over pairs of prompts; 0.8 on a straight line.",
            _by_depth,
            ("depth_widths",),
            is_data=True,
        ),
        MeanTable(
            "frozen_widths",
            "Transition width of the logits, with parts of all blocks after the site frozen.",
            of="frozen_widths",
            median=True,
        ),
        MeanTable(
            "untrained_widths",
            "The same with random weights.",
            of="untrained_widths",
            median=True,
        ),
        MeanTable(
            "direction_widths",
            "The same along directions that were asked for, as far as the paired prompt lies.",
            of="direction_widths",
            median=True,
        ),
        Table(
            "jacobians",
            "Frobenius norms of Jacobians, mean over paths, and the mean standard error of a "
            "single one (0: exact); suffix: of all blocks after the site.",
            _jacobian_table,
            ("jacobians",),
        ),
        Table(
            "ends",
            "Self-test: largest distance of the logits at a path's end from those of the paired "
            "prompt itself, in parts of the distance between both prompts'.",
            _ends,
            ("depth",),
        ),
    ],
    figures=[
        Figure("depth", draw_depth, ("depth", "depth_widths")),
        Figure("frozen", draw_frozen, ("frozen", "untrained")),
        Figure("boundaries", draw_boundaries, ("jacobians",)),
        Figure("flips", draw_flips, ("depth",)),
    ],
    claims=[
        Claim(
            "SH1",
            "Plateaus sharpen with depth: moved at block 0, the transition is narrower after the "
            "last block than after block 1.",
            "share of pairs with the smaller width after the last block, minus one half",
            mostly,
            ("depth", "depth_widths"),
            values=lambda run: earlier_within(*_depths(run)[::-1]),
        ),
        Claim(
            "SH2",
            "MLPs make plateaus: with them frozen, the logits' transition is wider.",
            "share of pairs with the larger width with MLPs frozen, minus one half",
            mostly,
            ("frozen", "frozen_widths"),
            values=lambda run: earlier_within(_frozen(run, NOTHING), _frozen(run, MLP)),
        ),
        Claim(
            "SH3",
            "Freezing the MLPs widens the logits' transition by more than freezing attention.",
            "share of pairs with the larger width with MLPs frozen, minus one half",
            mostly,
            ("frozen", "frozen_widths"),
            values=lambda run: earlier_within(_frozen(run, ATTENTION), _frozen(run, MLP)),
        ),
        Claim(
            "SH4",
            "Boundaries are where MLP Jacobians are large: their norm is larger within the "
            "logits' transition than outside of it.",
            "share of pairs with the larger norm (in parts of its mean, over blocks) where the "
            "relative distance is between 0.1 and 0.9, minus one half",
            mostly,
            ("jacobians",),
            values=lambda run: earlier_within(0 * steeper_within(run), steeper_within(run)),
        ),
        Claim(
            "SH5",
            "Plateaus are learned: the logits' transition is narrower in the trained model than "
            "with random weights.",
            "share of pairs with the smaller width in the trained model, minus one half",
            mostly,
            ("frozen", "untrained", "frozen_widths"),
            values=lambda run: earlier_within(
                _frozen(run, NOTHING), _frozen(run, NOTHING, "untrained_widths")
            ),
        ),
    ],
)
