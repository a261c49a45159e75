"""Which SAE latents make up real activations? Figures E.1 and E.2."""

from __future__ import annotations

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from numpy.typing import NDArray

from steppe.core.axes import RANK
from steppe.reports.drawing import Drawing, Setting, panels
from steppe.reports.style import house_style, style_of

_COLOR = style_of("real").color
_BINS = 40


def latent_counts(l0: xr.DataArray, share: xr.DataArray, setting: Setting) -> Drawing:
    """Draw how many latents are active, and how much the strongest ten contribute (Figure E.1).

    Args:
        l0: (sample) active latents per activation.
        share: (sample, rank) share of the sum of latent activations, in percent, by rank from 1;
            NaN where an activation has fewer active latents.
        setting: The model.
    """
    ranks = share[RANK].values[:10]
    with house_style():
        figure, ((left, right),) = panels(1)
        left.hist(l0.values, _whole_bins(l0.values), color=_COLOR, alpha=0.8)
        _mark_mean(left, float(l0.mean()))
        left.set_xlabel("active latents per activation")
        left.set_ylabel("activations")
        boxes = [_defined(share.sel({RANK: rank}).values) for rank in ranks]
        right.boxplot(
            boxes,
            positions=ranks,
            widths=0.6,
            patch_artist=True,
            flierprops={"marker": ".", "markersize": 2, "markeredgecolor": "none",
                        "markerfacecolor": "0.6"},
            boxprops={"facecolor": _COLOR, "alpha": 0.8},
            medianprops={"color": "black"},
        )  # fmt: skip
        right.set_xlabel("rank of the latent by its activation")
        right.set_ylabel("share of the activation sum (%)")
        right.set_ylim(bottom=0)
    caption = setting.caption(
        "SAE latents of model-generated activations: number of active latents (left; line: mean "
        f"{float(l0.mean()):.1f}) and share of the strongest ten in the sum of latent activations "
        "(right; box: quartiles, whiskers: 1.5 times the box at most, dots: beyond; mean of rank 1 "
        f"{float(share.sel({RANK: ranks[0]}).mean()):.1f} %), n = {l0.size} activations.",
    )
    return Drawing(figure, caption)


def latent_cosines(latents: xr.Dataset, setting: Setting) -> Drawing:
    """Draw the cosines between active latents, and of each with the strongest (Figure E.2).

    Args:
        latents: ``pair_count`` and ``top_count`` (bin) counts of cosines, coordinates ``bin_low``
            and ``bin_high``, attributes ``pooled_pair_cosine`` and ``pooled_top_cosine`` (means).
        setting: The model.
    """
    edges = np.append(latents["bin_low"].values, latents["bin_high"].values[-1])
    shown = [("pair_count", "pooled_pair_cosine", "between active latents"),
             ("top_count", "pooled_top_cosine", "with the strongest latent")]  # fmt: skip
    with house_style():
        figure, (axes,) = panels(1)
        for ax, (counts, mean, label) in zip(axes, shown, strict=True):
            ax.stairs(latents[counts].values, edges, fill=True, color=_COLOR, alpha=0.8)
            _mark_mean(ax, float(latents.attrs[mean]))
            occupied = np.flatnonzero(latents[counts].values)
            if len(occupied):
                ax.set_xlim(min(edges[occupied[0]], 0) - 0.02, edges[occupied[-1] + 1] + 0.02)
            ax.set_xlabel(f"cosine {label}")
            ax.set_ylabel("pairs")
            ax.set_ylim(bottom=0)
    pairs, tops = (int(latents[counts].sum()) for counts, _, _ in shown)
    caption = setting.caption(
        "Cosine similarity of decoder directions of the SAE latents active together in "
        f"model-generated activations: all pairs (left, {pairs} pairs, mean "
        f"{latents.attrs['pooled_pair_cosine']:.3f}) and each with the strongest (right, {tops} "
        f"pairs, mean {latents.attrs['pooled_top_cosine']:.3f}). Lines: means.",
    )
    return Drawing(figure, caption)


def _whole_bins(counts: NDArray[np.number]) -> list[float]:
    """Edges between whole numbers, all bins equally many numbers wide, at most `_BINS` bins."""
    low, high = int(counts.min()), int(counts.max())
    width = -(-(high - low + 1) // _BINS)
    edges: list[float] = np.arange(low - 0.5, high + 0.5 + width, width).tolist()
    return edges


def _mark_mean(ax: Axes, mean: float) -> None:
    ax.axvline(mean, color="black", linewidth=1, linestyle="dashed")


def _defined(values: NDArray[np.float64]) -> NDArray[np.float64]:
    return values[~np.isnan(values)]
