"""The study's figures: what each is drawn from."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

import numpy as np

from steppe.core.axes import CONTROL, CORNER, KIND, MODE, MOMENT, SAMPLE
from steppe.recipes.heimersheim2024 import tables
from steppe.recipes.heimersheim2024.analysis import Analysis
from steppe.recipes.heimersheim2024.outputs import (
    ADDED,
    ARTIFICIAL,
    ASCENT,
    BASES,
    CONTROL_SETUPS,
    CONTROLS,
    CORNERS,
    COUNTS,
    CROSSING_DIRECTIONS,
    CURVE_DIRECTIONS,
    DIRECTIONS,
    ENCODED,
    ENCODING,
    FEATURE_DIRECTIONS,
    FEATURES,
    ISOTROPIC,
    LAST_LAYER,
    MODES,
    MOVED,
    PLANES,
    PLATEAUS,
    RANDOM,
    RANDOM_BASE,
    RANDOM_FROM_RANDOM,
    REAL,
    REMOVED,
    STARTS,
    TRIANGLES,
    UNCHANGED,
    UNEMBEDDING,
    UNTRAINED,
)
from steppe.report import (
    BandPanel,
    ChangePanel,
    CountPanel,
    CrossingRow,
    Drawing,
    PlaneMap,
    Setting,
    Spread,
    TriangleMap,
    by_count,
    changes,
    count_histogram,
    crossing_distributions,
    crossing_shares,
    curve_bands,
    plane,
    triangles,
)

Drawn = Iterator[tuple[str, Drawing]]

X_LABELS = {"straight": "length (norm of the base)", "sphere": "angle (degrees)"}
ENDS = {"straight": 1.0, "sphere": 180.0}
# How far the panels near the base reach.
NEAR = {"straight": 0.7, "sphere": 60.0}
Y_LABELS = {
    "kl": "KL (nats)",
    "l2": "L2 (activation units)",
    "l2_normalized": "L2, normalised (1)",
    "cosine": "cosine (1)",
}
CONTROL_TITLES = {
    LAST_LAYER: "before the last layer",
    UNEMBEDDING: "before the unembedding",
    UNTRAINED: "random weights",
}


def _setting(analysis: Analysis) -> Setting:
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
    control = CONTROL_TITLES.get(labels.get(CONTROL, ""), "")
    return BandPanel(
        title=f"{mode}, {control}" if control else mode,
        x_label=X_LABELS[mode],
        y_label=Y_LABELS[readout],
        positions=positions,
        bands=bands,
        level=analysis.settings.level if readout == "kl" else None,
    )


def _rows(analysis: Analysis, part: str, kinds: tuple[str, ...]) -> list[list[BandPanel]]:
    """Per mode: KL near the base, KL all along, and L2."""
    rows = []
    for mode in MODES:
        kl, l2 = (
            _panel(analysis, part, kinds, readout, **{MODE: mode}) for readout in ("kl", "l2")
        )
        near = (NEAR[mode], 2 * analysis.settings.level)
        rows.append([replace(kl, title=f"{kl.title}, near the base", limits=near), kl, l2])
    return rows


def plateau_curves(analysis: Analysis) -> Drawn:
    """Part 1: curves from each kind of base towards the same random activations."""
    rows = _rows(analysis, PLATEAUS, BASES)
    what = (
        "Change of the output as real and random bases are moved towards the same random "
        "activations: KL divergence near the base (left) and all along (middle), and L2 at the "
        "last layer (right), in straight mode (top) and sphere mode (bottom)."
    )
    yield "", curve_bands(rows, what, _setting(analysis))


def direction_curves(analysis: Analysis) -> Drawn:
    """Part 2: curves from real bases in each kind of direction."""
    rows = _rows(analysis, DIRECTIONS, CURVE_DIRECTIONS)
    what = (
        "Change of the output as real bases are moved towards other real activations, towards "
        "random ones, and in isotropic directions: KL divergence near the base (left) and all "
        "along (middle), and L2 at the last layer (right), in straight mode (top) and sphere mode "
        "(bottom)."
    )
    yield "", curve_bands(rows, what, _setting(analysis))


def direction_crossings(analysis: Analysis) -> Drawn:
    """Part 2: where KL crosses the level, and how well that tells the classes apart."""
    rows = [
        CrossingRow(
            mode,
            X_LABELS[mode],
            ENDS[mode],
            {kind: analysis.crossings(DIRECTIONS, kind, mode) for kind in CROSSING_DIRECTIONS},
        )
        for mode in MODES
    ]
    what = (
        f"Where KL first reaches {analysis.settings.level:g} nats along {analysis.settings.draws} "
        f"directions of each kind from each of {analysis.settings.samples} real bases."
    )
    pairs = [(REAL, RANDOM), (RANDOM, ISOTROPIC)]
    yield "", crossing_distributions(rows, pairs, what, _setting(analysis))


def planes(analysis: Analysis) -> Drawn:
    """Part 3: one figure per plane."""
    dataset = analysis.parts[PLANES]
    for number in range(dataset.sizes[SAMPLE]):
        one = dataset.isel({SAMPLE: number})
        found = PlaneMap(
            first=one["first"].values,
            second=one["second"].values,
            kl=one["kl"].sel({CORNER: "base"}).values,
            corners=one["corners"].values,
        )
        yield f"_{number + 1}", plane(found, number + 1, _setting(analysis))


def triangle_maps(analysis: Analysis) -> Drawn:
    """Part 4: triangles of targets."""
    dataset = analysis.parts[TRIANGLES].load()
    names = {
        "random": ("random", "random", "random"),
        "real": ("real-other", "random", "random"),
    }
    rows = [
        [
            TriangleMap(
                title=f"base {sample + 1}",
                corners=names[kind],
                weights=dataset["weights"].values,
                angles=dataset["crossing"].sel({KIND: kind}).isel({SAMPLE: sample}).values,
            )
            for sample in range(dataset.sizes[SAMPLE])
        ]
        for kind in reversed(CORNERS)
    ]
    yield "", triangles(rows, analysis.settings.level, _setting(analysis))


def ascents(analysis: Analysis) -> Drawn:
    """Part 4: directions before and after the ascent."""
    dataset = analysis.parts[ASCENT].load()

    def panel(name: str, label: str) -> ChangePanel:
        values = dataset[name].where(~dataset["censored"]) if name == "crossing" else dataset[name]
        sides = [
            {kind: values.sel({KIND: kind, MOMENT: moment}).values for kind in STARTS}
            for moment in ("before", "after")
        ]
        return ChangePanel(label, *sides)

    found = [
        panel("crossing", "crossing (degrees)"),
        panel("to_real", "cosine to nearest real (1)"),
        panel("to_decoder", "cosine to nearest row (1)"),
    ]
    what = (
        f"Directions before and after {analysis.settings.ascent_steps} steps up the sensitivity "
        f"from {dataset.sizes[SAMPLE]} bases: angle at which KL crosses "
        f"{analysis.settings.level:g} nats (left), largest cosine to the way to a real activation "
        "(middle), largest absolute cosine to an SAE decoder row (right)."
    )
    yield "", changes(found, what, _setting(analysis))


def feature_crossings(analysis: Analysis) -> Drawn:
    """Part 5: decoder rows beside the directions of part 2."""
    known = {kind: DIRECTIONS for kind in (REAL, RANDOM, ISOTROPIC) if analysis.has(DIRECTIONS)}
    known |= dict.fromkeys(FEATURE_DIRECTIONS, FEATURES)
    rows = [
        CrossingRow(
            mode,
            X_LABELS[mode],
            ENDS[mode],
            {kind: analysis.crossings(part, kind, mode) for kind, part in known.items()},
        )
        for mode in MODES
    ]
    what = (
        f"Where KL first reaches {analysis.settings.level:g} nats along SAE decoder rows (and "
        "against them) of latents that are active at the base, or silent, beside other directions."
    )
    yield "", crossing_shares(rows, what, _setting(analysis))


def artificial_plateaus(analysis: Analysis) -> Drawn:
    """Part 5: how far the output stays around artificial bases."""
    found = []
    table = tables.artificial_table(analysis).set_index(["mode", "kind"])
    columns = ["crossing", "crossing_low", "crossing_high"]
    missing = (float("nan"),) * 3

    for mode in MODES:

        def estimate(kind: str, mode: str = mode) -> tuple[float, float, float]:
            if (mode, kind) not in table.index:
                return missing
            middle, low, high = (float(table.loc[(mode, kind), name]) for name in columns)
            return middle, low, high

        found.append(
            CountPanel(
                title=mode,
                y_label=f"crossing, {X_LABELS[mode]}",
                counts=COUNTS,
                series={
                    change: [estimate(f"{change}_{count}") for count in COUNTS]
                    for change in (ADDED, REMOVED, MOVED)
                },
                levels={"real": estimate(UNCHANGED), "random": estimate(RANDOM_BASE)},
            )
        )
    what = (
        f"Median position at which KL first reaches {analysis.settings.level:g} nats from real "
        "bases with one to five SAE latents added or removed, from real bases moved as far as the "
        "added latents move them, and from unchanged and random bases (lines); n = "
        f"{analysis.settings.samples} bases, {analysis.settings.artificial_draws} directions each."
    )
    yield "", by_count(found, "latents", what, _setting(analysis))


def control_curves(analysis: Analysis) -> Drawn:
    """Part 6: the curves of part 2 in every control, sphere mode."""
    kinds = (REAL, RANDOM, RANDOM_FROM_RANDOM)
    rows = [
        [
            _panel(analysis, CONTROLS, kinds, readout, **{CONTROL: control, MODE: "sphere"})
            for readout in ("kl", "l2_normalized")
        ]
        for control in CONTROL_SETUPS
    ]
    what = (
        "Change of the output in sphere mode where there is little or nothing for effects to arise "
        "from: KL divergence (left) and L2 after the final normalisation (right)."
    )
    yield "", curve_bands(rows, what, _setting(analysis))


def encodings(analysis: Analysis) -> Drawn:
    """Part 6: how many latents are active."""
    counts = {kind: analysis.parts[ENCODING]["l0"].sel({KIND: kind}).values for kind in ENCODED}
    what = (
        "Latents that the SAE finds in model-generated activations, in random ones with their mean "
        "and covariance, and in isotropic vectors as long as model-generated ones."
    )
    yield "", count_histogram(counts, what, _setting(analysis))


FIGURES: tuple[tuple[str, str, Callable[[Analysis], Drawn]], ...] = (
    ("plateau_curves", PLATEAUS, plateau_curves),
    ("direction_curves", DIRECTIONS, direction_curves),
    ("direction_crossings", DIRECTIONS, direction_crossings),
    ("plane", PLANES, planes),
    ("triangles", TRIANGLES, triangle_maps),
    ("ascent", ASCENT, ascents),
    ("feature_crossings", FEATURES, feature_crossings),
    ("artificial_plateaus", ARTIFICIAL, artificial_plateaus),
    ("control_curves", CONTROLS, control_curves),
    ("encoding", ENCODING, encodings),
)
