"""The study's figures: what each is drawn from."""

from __future__ import annotations

from collections.abc import Callable

from steppe.core.axes import CORNER, KIND, MOMENT, SAMPLE
from steppe.recipes.heimersheim2024 import curve_pictures, tables
from steppe.recipes.heimersheim2024.analysis import Analysis
from steppe.recipes.heimersheim2024.curve_pictures import UNITS, X_LABELS, Drawn, setting_of
from steppe.recipes.heimersheim2024.outputs import (
    ADDED,
    ARTIFICIAL,
    ASCENT,
    CONTROLS,
    CORNERS,
    COUNTS,
    CROSSING_DIRECTIONS,
    DIRECTIONS,
    ENCODED,
    ENCODING,
    EXAMPLES,
    FEATURE_DIRECTIONS,
    FEATURES,
    ISOTROPIC,
    MODES,
    MOVED,
    PLANES,
    PLATEAUS,
    RANDOM,
    RANDOM_BASE,
    REAL,
    REMOVED,
    STARTS,
    TRIANGLES,
    UNCHANGED,
)
from steppe.report import (
    ChangePanel,
    CountPanel,
    CrossingRow,
    PlaneMap,
    TriangleMap,
    by_count,
    changes,
    count_histogram,
    crossing_distributions,
    crossing_shares,
    n_of,
    plane,
    triangles,
)

ENDS = {"straight": 1.0, "sphere": 180.0}


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
    yield "", crossing_distributions(rows, pairs, what, setting_of(analysis))


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
        yield f"_{number + 1}", plane(found, number + 1, setting_of(analysis))


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
                title=f"base {sample + 1}, n = {len(dataset['weights'])}",
                corners=names[kind],
                weights=dataset["weights"].values,
                angles=dataset["crossing"].sel({KIND: kind}).isel({SAMPLE: sample}).values,
            )
            for sample in range(dataset.sizes[SAMPLE])
        ]
        for kind in reversed(CORNERS)
    ]
    yield "", triangles(rows, analysis.settings.level, setting_of(analysis))


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
        panel("to_real", "cosine to real (1)"),
        panel("to_decoder", "cosine to row (1)"),
    ]
    what = (
        f"Directions before and after {analysis.settings.ascent_steps} steps up the sensitivity "
        f"from {dataset.sizes[SAMPLE]} bases: angle at which KL crosses "
        f"{analysis.settings.level:g} nats (left), largest cosine to the way to a real activation "
        "(middle), largest absolute cosine to an SAE decoder row (right)."
    )
    yield "", changes(found, what, setting_of(analysis))


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
        "against them) of latents that are active at the base, of silent ones, and of any, beside "
        "other directions."
    )
    yield "", crossing_shares(rows, what, setting_of(analysis))


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
                title=f"{mode}, {n_of(table.loc[mode, 'n'])}",
                y_label=f"crossing ({UNITS[mode]})",
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
    yield "", by_count(found, "latents", what, setting_of(analysis))


def encodings(analysis: Analysis) -> Drawn:
    """Part 6: how many latents are active."""
    counts = {kind: analysis.parts[ENCODING]["l0"].sel({KIND: kind}).values for kind in ENCODED}
    what = (
        "Latents that the SAE finds in model-generated activations, in random ones with their mean "
        "and covariance, and in isotropic vectors as long as model-generated ones."
    )
    yield "", count_histogram(counts, what, setting_of(analysis))


FIGURES: tuple[tuple[str, str, Callable[[Analysis], Drawn]], ...] = (
    ("plateau_examples", PLATEAUS, curve_pictures.plateau_examples),
    ("plateau_curves", PLATEAUS, curve_pictures.plateau_curves),
    ("plateau_distances", PLATEAUS, curve_pictures.plateau_distances),
    ("direction_examples", EXAMPLES, curve_pictures.direction_examples),
    ("direction_curves", DIRECTIONS, curve_pictures.direction_curves),
    ("direction_distances", DIRECTIONS, curve_pictures.direction_distances),
    ("direction_crossings", DIRECTIONS, direction_crossings),
    ("plane", PLANES, planes),
    ("triangles", TRIANGLES, triangle_maps),
    ("ascent", ASCENT, ascents),
    ("feature_crossings", FEATURES, feature_crossings),
    ("artificial_plateaus", ARTIFICIAL, artificial_plateaus),
    ("control_curves", CONTROLS, curve_pictures.control_curves),
    ("encoding", ENCODING, encodings),
)
