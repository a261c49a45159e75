"""The study's figures of curves: what each is drawn from."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from steppe.core.axes import CONTROL, KIND, MODE, SAMPLE
from steppe.recipes.heimersheim2024.analysis import Analysis
from steppe.recipes.heimersheim2024.outputs import (
    BASES,
    CONTROL_SETUPS,
    CONTROLS,
    CURVE_DIRECTIONS,
    DIRECTIONS,
    EXAMPLES,
    LAST_LAYER,
    MODES,
    PLATEAUS,
    RANDOM,
    RANDOM_FROM_RANDOM,
    REAL,
    UNEMBEDDING,
    UNTRAINED,
)
from steppe.report import (
    BandPanel,
    Drawing,
    Setting,
    Spread,
    curve_bands,
    single_curves,
)

Drawn = Iterator[tuple[str, Drawing]]

UNITS = {"straight": "norm of the base", "sphere": "degrees"}
X_LABELS = {"straight": f"length ({UNITS['straight']})", "sphere": f"angle ({UNITS['sphere']})"}
# How far the panels near the base reach.
NEAR = {"straight": 0.7, "sphere": 60.0}
Y_LABELS = {
    "kl": "KL (nats)",
    "l2": "L2 (activation units)",
    "l2_normalized": "L2, normalised (1)",
    "cosine": "cosine (1)",
}
CONTROL_TITLES = {
    LAST_LAYER: "before last layer",
    UNEMBEDDING: "at unembedding",
    UNTRAINED: "random weights",
}
# The readouts of the last layer, in the order they are drawn.
DISTANCES = ("l2", "l2_normalized", "cosine")
# How many bases' curves are drawn one by one.
SHOWN = 15


def setting_of(analysis: Analysis) -> Setting:
    """What every figure says of the run."""
    return Setting(subject=analysis.text)


def _panel(
    analysis: Analysis, part: str, kinds: tuple[str, ...], readout: str, **labels: str
) -> BandPanel:
    mode = labels[MODE]
    bands = {}
    positions = np.zeros(1)
    for kind in kinds:
        positions, curves = analysis.curves(part, readout, **labels, **{KIND: kind})
        bands[kind] = Spread.of(curves)
    return BandPanel(
        title=CONTROL_TITLES.get(labels.get(CONTROL, ""), mode),
        x_label=X_LABELS[mode],
        y_label=Y_LABELS[readout],
        positions=positions,
        bands=bands,
        level=analysis.settings.level if readout == "kl" else None,
    )


def _row(
    analysis: Analysis, part: str, kinds: tuple[str, ...], distance: str, **labels: str
) -> list[BandPanel]:
    """KL near the base, KL all along, and a distance."""
    kl, other = (_panel(analysis, part, kinds, readout, **labels) for readout in ("kl", distance))
    return [
        replace(kl, limits=(NEAR[labels[MODE]], 2 * analysis.settings.level)),
        kl,
        other,
    ]


def _rows(analysis: Analysis, part: str, kinds: tuple[str, ...]) -> list[list[BandPanel]]:
    return [_row(analysis, part, kinds, "l2", **{MODE: mode}) for mode in MODES]


def _distances(analysis: Analysis, part: str, kinds: tuple[str, ...], what: str) -> Drawing:
    """Every readout of the last layer."""
    rows = [
        [_panel(analysis, part, kinds, readout, **{MODE: mode}) for readout in DISTANCES]
        for mode in MODES
    ]
    where = (
        f"{what}: L2 at the last layer (left), L2 after the final normalisation (middle) and "
        "cosine at the last layer (right), in straight mode (top) and sphere mode (bottom)."
    )
    return curve_bands(rows, where, setting_of(analysis))


def plateau_distances(analysis: Analysis) -> Drawn:
    """Part 1: the same curves by what the last layer does."""
    what = "Change at the last layer as bases are moved towards the same random activations"
    yield "", _distances(analysis, PLATEAUS, BASES, what)


def direction_distances(analysis: Analysis) -> Drawn:
    """Part 2: the same curves by what the last layer does."""
    what = "Change at the last layer as real bases are moved in different directions"
    yield "", _distances(analysis, DIRECTIONS, CURVE_DIRECTIONS, what)


def plateau_examples(analysis: Analysis) -> Drawn:
    """Part 1: curves from some bases, one by one."""
    rows = []
    for readout in ("kl", "l2"):
        row = []
        for mode in MODES:
            panel = _panel(analysis, PLATEAUS, ("real", "random"), readout, **{MODE: mode})
            singles = {
                kind: analysis.curves(PLATEAUS, readout, **{KIND: kind, MODE: mode})[1][:SHOWN]
                for kind in panel.bands
            }
            row.append(replace(panel, bands={}, singles=singles))
        rows.append(row)
    what = (
        "Change of the output as real and random bases are moved towards the same random "
        "activations: KL divergence (top) and L2 at the last layer (bottom), in straight mode "
        "(left) and sphere mode (right), of the first base prompts."
    )
    yield "", single_curves(rows, what, setting_of(analysis))


def direction_examples(analysis: Analysis) -> Drawn:
    """Part 2: curves in several directions from the same base, one by one."""
    dataset = analysis.parts[EXAMPLES].load()
    rows = [
        [
            BandPanel(
                title=f"{mode}, base {base + 1}",
                x_label=X_LABELS[mode],
                y_label=Y_LABELS["kl"],
                positions=dataset[f"{mode}_position"].values,
                level=analysis.settings.level,
                singles={
                    kind: dataset["kl"].sel({KIND: kind, MODE: mode}).isel({SAMPLE: base}).values
                    for kind in CURVE_DIRECTIONS
                },
            )
            for base in range(dataset.sizes[SAMPLE])
        ]
        for mode in MODES
    ]
    what = (
        "KL divergence as one real base is moved towards other real activations, towards random "
        "ones, and in isotropic directions: one base prompt per column, in straight mode (top) and "
        "sphere mode (bottom)."
    )
    yield "", single_curves(rows, what, setting_of(analysis))


def plateau_curves(analysis: Analysis) -> Drawn:
    """Part 1: curves from each kind of base towards the same random activations."""
    rows = _rows(analysis, PLATEAUS, BASES)
    what = (
        "Change of the output as real and random bases are moved towards the same random "
        "activations: KL divergence near the base (left) and all along (middle), and L2 at the "
        "last layer (right), in straight mode (top) and sphere mode (bottom)."
    )
    yield "", curve_bands(rows, what, setting_of(analysis))


def direction_curves(analysis: Analysis) -> Drawn:
    """Part 2: curves from real bases in each kind of direction."""
    rows = _rows(analysis, DIRECTIONS, CURVE_DIRECTIONS)
    what = (
        "Change of the output as real bases are moved towards other real activations, towards "
        "random ones, and in isotropic directions: KL divergence near the base (left) and all "
        "along (middle), and L2 at the last layer (right), in straight mode (top) and sphere mode "
        "(bottom)."
    )
    yield "", curve_bands(rows, what, setting_of(analysis))


def control_curves(analysis: Analysis) -> Drawn:
    """Part 6: the curves of part 2 in every control, sphere mode."""
    kinds = (REAL, RANDOM, RANDOM_FROM_RANDOM)
    rows = [
        _row(analysis, CONTROLS, kinds, "l2_normalized", **{CONTROL: control, MODE: "sphere"})
        for control in CONTROL_SETUPS
    ]
    what = (
        "Change of the output in sphere mode where there is little or nothing for effects to arise "
        "from: points placed before the last layer (top), right before the final normalisation and "
        "the unembedding (middle), and a subject with random weights (bottom). KL divergence near "
        "the base (left) and all along (middle), and L2 after the final normalisation (right)."
    )
    yield "", curve_bands(rows, what, setting_of(analysis))
