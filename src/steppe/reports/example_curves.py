"""What do single curves look like? Figure 1: L2 and KL along paths, with their max-slope steps."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import xarray as xr
from matplotlib.axes import Axes

from steppe.core.axes import KIND, SAMPLE, STEP
from steppe.curves import mean_curves
from steppe.reports.drawing import Drawing, Setting, add_legend, panels
from steppe.reports.style import house_style, label_of, style_of

READOUTS = {"l2": "L2 distance", "kl": "KL divergence"}


def example_curves(
    curves: xr.Dataset,
    steps: xr.Dataset,
    setting: Setting,
    *,
    samples: Sequence[int] = (0, 1, 2),
) -> Drawing:
    """Draw some curves per kind and metric, and the mean of all.

    Args:
        curves: Metrics ``l2`` and ``kl`` over (kind, sample, step), one mode.
        steps: The max-slope step of each curve under the same names, over (kind, sample); a step
            that is NaN or beyond the curve gets no dot.
        setting: The model and what a step is.
        samples: Places, on the sample axis, of the curves that are drawn singly.
    """
    kinds = [str(kind) for kind in curves[KIND].values]
    chosen = [sample for sample in samples if sample < curves.sizes[SAMPLE]]
    with house_style():
        figure, (axes,) = panels(1, len(READOUTS))
        for ax, (metric, name) in zip(axes, READOUTS.items(), strict=True):
            for kind in kinds:
                _draw(ax, curves[metric].sel({KIND: kind}), steps[metric].sel({KIND: kind}), chosen)
            ax.set_xlabel(setting.step_label())
            unit = curves[metric].attrs.get("unit", "")
            ax.set_ylabel(f"{name} ({unit})" if unit not in {"", "1"} else name)
            ax.set_ylim(bottom=0)
            ax.set_xlim(0, curves.sizes[STEP] - 1)
        add_legend(figure, kinds, dots=True)
    towards = " and ".join(label_of(kind).lower() for kind in kinds)
    caption = setting.caption(
        f"L2 distance (left, activation units) and KL divergence (right, nats) between the "
        f"perturbed and the unperturbed model, {setting.step_label()}, along paths towards "
        f"{towards} activations.",
        f"Thin lines: {len(chosen)} single curves per kind. Dots: their max-slope steps. "
        f"Thick dashed lines: mean over n = {curves.sizes[SAMPLE]} bases.",
    )
    return Drawing(figure, caption)


def _draw(ax: Axes, curves: xr.DataArray, steps: xr.DataArray, chosen: Sequence[int]) -> None:
    style = style_of(str(curves[KIND].item()))
    for sample in chosen:
        curve = curves.isel({SAMPLE: sample}).values
        ax.plot(np.arange(len(curve)), curve, color=style.color, linewidth=0.9, alpha=0.75)
        step = float(steps.isel({SAMPLE: sample}))
        if not np.isnan(step) and step < len(curve):
            ax.plot(
                step, curve[int(step)], style.marker, color=style.color, markersize=4.5, zorder=3
            )
    mean = mean_curves(curves).values
    ax.plot(np.arange(len(mean)), mean, color=style.color, linewidth=2.2, linestyle=(0, (4, 2)))
