"""The study's figures: what each is drawn from."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np

from steppe import reports
from steppe.core.axes import CONTROL, CORNER, KIND, MODE, MOMENT, SAMPLE
from steppe.core.family_modes import END
from steppe.reports import BandPanel, Drawing
from steppe.studies.heimersheim2024 import names as n
from steppe.studies.heimersheim2024.names import MODES, UNITS
from steppe.studies.heimersheim2024.quantities import Labels, curves, positions, searched
from steppe.studies.heimersheim2024.tables import Row, artificial_rows, feature_kinds
from steppe.study import Analysis, Figure

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
    n.LAST_LAYER: "before last layer",
    n.UNEMBEDDING: "at unembedding",
    n.UNTRAINED: "random weights",
}
# Rows of panels: their labels, and their metrics; ``near`` is KL near the base.
Cells = Sequence[tuple[Labels, Sequence[str]]]
# How many bases' curves are drawn one by one.
SHOWN = 15


def setting_of(a: Analysis) -> reports.Setting:
    """What every figure says of the run."""
    return reports.Setting(model=f"{a.model}, moved at {a.constants['site']}")


def _panel(a: Analysis, part: str, kinds: Sequence[str], metric: str, at: Labels) -> BandPanel:
    """Each kind's curves; KL with the level that is searched."""
    return BandPanel(
        title=CONTROL_TITLES.get(at.get(CONTROL, ""), at[MODE]),
        x_label=X_LABELS[at[MODE]],
        y_label=Y_LABELS[metric],
        positions=positions(a, part, at[MODE]),
        level=a.settings.level if metric == "kl" else None,
        singles={kind: curves(part, metric, {**at, KIND: kind})(a) for kind in kinds},
    )


def _bands(name: str, part: str, kinds: Sequence[str], cells: Cells, what: str) -> Figure:
    """Median and middle half of curves, in rows of panels."""

    def drawn(a: Analysis, at: Labels, metric: str) -> BandPanel:
        panel = _panel(a, part, kinds, "kl" if metric == "near" else metric, at)
        limits = (NEAR[at[MODE]], 2 * a.settings.level) if metric == "near" else None
        bands = {kind: reports.Spread.of(values) for kind, values in panel.singles.items()}
        return replace(panel, bands=bands, singles={}, limits=limits)

    def draw(a: Analysis) -> Drawing:
        rows = [[drawn(a, at, metric) for metric in metrics] for at, metrics in cells]
        return reports.curve_bands(rows, what, setting_of(a))

    return Figure(name, draw, (part,))


def plateau_examples(a: Analysis) -> Drawing:
    """Part 1: curves from some bases, one by one."""

    def few(metric: str, mode: str) -> BandPanel:
        panel = _panel(a, n.PLATEAUS, ("real", "random"), metric, {MODE: mode})
        return replace(
            panel, singles={kind: values[:SHOWN] for kind, values in panel.singles.items()}
        )

    what = (
        "Change of the output as real and random bases are moved towards the same random "
        "activations: KL divergence (top) and L2 at the last layer (bottom), in straight mode "
        "(left) and sphere mode (right), of the first base prompts."
    )
    rows = [[few(metric, mode) for mode in MODES] for metric in ("kl", "l2")]
    return reports.single_curves(rows, what, setting_of(a))


def direction_examples(a: Analysis) -> Drawing:
    """Part 2: curves in several directions from the same base, one by one."""
    kl = a[f"{n.EXAMPLES}/kl"]

    def one(mode: str, base: int) -> BandPanel:
        chosen = kl.sel({MODE: mode}).isel({SAMPLE: base})
        return BandPanel(
            title=f"{mode}, base {base + 1}",
            x_label=X_LABELS[mode],
            y_label=Y_LABELS["kl"],
            positions=positions(a, n.EXAMPLES, mode),
            level=a.settings.level,
            singles={kind: chosen.sel({KIND: kind}).values for kind in n.CURVE_DIRECTIONS},
        )

    what = (
        "KL divergence as one real base is moved towards other real activations, towards random "
        "ones, and in isotropic directions: one base prompt per column, in straight mode (top) and "
        "sphere mode (bottom)."
    )
    rows = [[one(mode, base) for base in range(kl.sizes[SAMPLE])] for mode in MODES]
    return reports.single_curves(rows, what, setting_of(a))


def _crossing_rows(a: Analysis, kinds: Sequence[tuple[str, str]]) -> list[reports.CrossingRow]:
    """Crossings of several (part, kind), a row per mode."""
    return [
        reports.CrossingRow(
            mode, X_LABELS[mode], END[mode],
            {kind: searched(part, kind, mode)(a) for part, kind in kinds},
        )
        for mode in MODES
    ]  # fmt: skip


def direction_crossings(a: Analysis) -> Drawing:
    """Part 2: where KL crosses the level, and how well that tells the classes apart."""
    rows = _crossing_rows(a, [(n.DIRECTIONS, kind) for kind in n.CROSSING_DIRECTIONS])
    what = (
        f"Where KL first reaches {a.settings.level:g} nats along {a.settings.draws} "
        f"directions of each kind from each of {a.settings.samples} real bases."
    )
    pairs = [(n.REAL, n.RANDOM), (n.RANDOM, n.ISOTROPIC)]
    return reports.crossing_distributions(rows, pairs, what, setting_of(a))


def feature_crossings(a: Analysis) -> Drawing:
    """Part 5: decoder rows beside the directions of part 2."""
    what = (
        f"Where KL first reaches {a.settings.level:g} nats along SAE decoder rows (and "
        "against them) of latents that are active at the base, of silent ones, and of any, beside "
        "other directions."
    )
    return reports.crossing_shares(_crossing_rows(a, feature_kinds(a)), what, setting_of(a))


def planes(a: Analysis) -> Iterator[tuple[str, Drawing]]:
    """Part 3: one figure per reports.plane."""
    dataset = a.datasets[n.PLANES]
    for number in range(dataset.sizes[SAMPLE]):
        one = dataset.isel({SAMPLE: number})
        found = reports.PlaneMap(
            first=one["first"].values,
            second=one["second"].values,
            kl=one["kl"].sel({CORNER: "base"}).values,
            corners=one["corners"].values,
        )
        yield f"_{number + 1}", reports.plane(found, number + 1, setting_of(a))


def triangle_maps(a: Analysis) -> Drawing:
    """Part 4: reports.triangles of targets."""
    dataset = a.datasets[n.TRIANGLES].load()
    tops = {"random": "random", "real": "real-other"}
    rows = [
        [
            reports.TriangleMap(
                title=f"base {sample + 1}, n = {len(dataset['weights'])}",
                corners=(tops[kind], "random", "random"),
                weights=dataset["weights"].values,
                angles=dataset["crossing"].sel({KIND: kind}).isel({SAMPLE: sample}).values,
            )
            for sample in range(dataset.sizes[SAMPLE])
        ]
        for kind in reversed(n.CORNERS)
    ]
    return reports.triangles(rows, a.settings.level, setting_of(a))


def ascents(a: Analysis) -> Drawing:
    """Part 4: directions before and after the ascent."""
    dataset = a.datasets[n.ASCENT].load()
    dataset["crossing"] = dataset["crossing"].where(~dataset["censored"])
    shown = {
        "crossing": ("crossing (degrees)", f"angle at which KL crosses {a.settings.level:g} nats"),
        "to_real": ("cosine to real (1)", "largest cosine to the way to a real activation"),
        "to_decoder": ("cosine to row (1)", "largest absolute cosine to an SAE decoder row"),
    }
    shown = {name: words for name, words in shown.items() if name in dataset}
    found = []
    for name, (label, _) in shown.items():
        values = dataset[name]
        before, after = (
            {kind: values.sel({KIND: kind, MOMENT: moment}).values for kind in n.STARTS}
            for moment in n.MOMENTS
        )
        found.append(reports.ChangePanel(label, before, after))
    places = ("left", "middle", "right") if len(shown) == 3 else ("left", "right")
    panels = (f"{words} ({at})" for (_, words), at in zip(shown.values(), places, strict=True))
    what = (
        f"Directions before and after {a.settings.ascent_steps} steps up the sensitivity from "
        f"{dataset.sizes[SAMPLE]} bases: {', '.join(panels)}."
    )
    return reports.changes(found, what, setting_of(a))


def artificial_plateaus(a: Analysis) -> Drawing:
    """Part 5: how far the output stays around artificial bases."""
    rows = {(row[MODE], row[KIND]): row for row in artificial_rows(a)}
    counted = {mode: [row["n"] for (of, _), row in rows.items() if of == mode] for mode in MODES}

    def estimate(mode: str, kind: str) -> tuple[float, float, float]:
        row: Row = rows.get((mode, kind), {})
        names = ("crossing", "crossing_low", "crossing_high")
        middle, low, high = (float(row.get(name, np.nan)) for name in names)
        return middle, low, high

    found = [
        reports.CountPanel(
            title=f"{mode}, {reports.n_of(counted[mode])}",
            y_label=f"crossing ({UNITS[mode]})",
            counts=n.COUNTS,
            series={
                change: [estimate(mode, f"{change}_{count}") for count in n.COUNTS]
                for change in (n.ADDED, n.REMOVED, n.MOVED)
            },
            levels={"real": estimate(mode, n.UNCHANGED), "random": estimate(mode, n.RANDOM_BASE)},
        )
        for mode in MODES
    ]
    what = (
        f"Median position at which KL first reaches {a.settings.level:g} nats from real "
        "bases with one to five SAE latents added or removed, from real bases moved as far as the "
        "added latents move them, and from unchanged and random bases (lines); n = "
        f"{a.settings.samples} bases, {a.settings.artificial_draws} directions each."
    )
    return reports.by_count(found, "latents", what, setting_of(a))


def encodings(a: Analysis) -> Drawing:
    """Part 6: how many latents are active."""
    counts = {kind: a[f"{n.ENCODING}/l0"].sel({KIND: kind}).values for kind in n.ENCODED}
    what = (
        "Latents that the SAE finds in model-generated activations, in random ones with their mean "
        "and covariance, and in isotropic vectors as long as model-generated ones."
    )
    return reports.count_histogram(counts, what, setting_of(a))


_MODES = [{MODE: mode} for mode in MODES]
_KL_AND_L2 = [(mode, ("near", "kl", "l2")) for mode in _MODES]
_DISTANCES = [(mode, ("l2", "l2_normalized", "cosine")) for mode in _MODES]
_CONTROLS = [
    ({CONTROL: control, MODE: "sphere"}, ("near", "kl", "l2_normalized"))
    for control in n.CONTROL_SETUPS
]
_WHERE = (
    "KL divergence near the base (left) and all along (middle), and L2 at the last layer (right), "
    "in straight mode (top) and sphere mode (bottom)."
)
_WHERE_DISTANCES = (
    "L2 at the last layer (left), L2 after the final normalisation (middle) and cosine at the last "
    "layer (right), in straight mode (top) and sphere mode (bottom)."
)
FIGURES = (
    Figure("plateau_examples", plateau_examples, (n.PLATEAUS,)),
    _bands("plateau_curves", n.PLATEAUS, n.BASES, _KL_AND_L2,
           "Change of the output as real and random bases are moved towards the same random "
           f"activations: {_WHERE}"),
    _bands("plateau_distances", n.PLATEAUS, n.BASES, _DISTANCES,
           "Change at the last layer as bases are moved towards the same random activations: "
           + _WHERE_DISTANCES),
    Figure("direction_examples", direction_examples, (n.EXAMPLES,)),
    _bands("direction_curves", n.DIRECTIONS, n.CURVE_DIRECTIONS, _KL_AND_L2,
           "Change of the output as real bases are moved towards other real activations, towards "
           f"random ones, and in isotropic directions: {_WHERE}"),
    _bands("direction_distances", n.DIRECTIONS, n.CURVE_DIRECTIONS, _DISTANCES,
           "Change at the last layer as real bases are moved in different directions: "
           + _WHERE_DISTANCES),
    Figure("direction_crossings", direction_crossings, (n.DIRECTIONS,)),
    Figure("plane", planes, (n.PLANES,)),
    Figure("triangles", triangle_maps, (n.TRIANGLES,)),
    Figure("ascent", ascents, (n.ASCENT,)),
    Figure("feature_crossings", feature_crossings, (n.FEATURES,)),
    Figure("artificial_plateaus", artificial_plateaus, (n.ARTIFICIAL,)),
    _bands("control_curves", n.CONTROLS, n.CONTROL_KINDS, _CONTROLS,
           "Change of the output in sphere mode where there is little or nothing for effects to "
           "arise from: points placed before the last layer (top), right before the final "
           "normalisation and the unembedding (middle), and a model with random weights "
           "(bottom). KL divergence near the base (left) and all along (middle), and L2 after the "
           "final normalisation (right)."),
    Figure("encoding", encodings, (n.ENCODING,)),
)  # fmt: skip
