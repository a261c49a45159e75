"""A run's figures: KL against length, ratios by layer, features by sparsity, substitutions."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import Any

from steppe.reports import (
    Band,
    BarPanel,
    Bars,
    Dash,
    Drawing,
    Level,
    Panel,
    Setting,
    draw_bands,
    draw_bars,
    label_of,
    shades,
    style_of,
)
from steppe.studies.lee2024 import plan as p
from steppe.studies.lee2024.analysis import (
    FAMILY_SHORT,
    OWN_SITES,
    SUBSTITUTIONS,
    Sensitivity,
    label_of_sae,
    quotient,
)
from steppe.studies.lee2024.plan import SaeFacts, Series, depth_of
from steppe.studies.lee2024.tables import FEATURES, blends_of, has_blends, has_layers, shown_shapes
from steppe.study import Figure

DASHES: tuple[Dash, ...] = ("solid", "dashed", "dashdot", "dotted", (0, (6, 1, 1, 1, 1, 1)))
# By family: its colour, its marker, and how far a family is drawn from others of one L0.
FAMILY_STYLES = {
    p.LOCAL: ("tab:blue", "o", 1.0),
    p.E2E: ("tab:red", "s", 0.96),
    p.DOWNSTREAM: ("tab:green", "^", 1.04),
}
LENGTH = "length (activation units)"
KL = "KL (nats per token)"
LOSS = "loss increase (nats per token)"
BANDS, BARS = "bands: 95% intervals over sequences.", "bars: 95% intervals over sequences."
# A figure that the run has nothing for.
Drawn = Drawing | tuple[()]


def _said(run: Sensitivity, text: str, ends: str = "", where: str = "") -> str:
    """A caption: what is shown, n, what bands are, the model, and how lengths are scaled."""
    setting = Setting(model=run.moved_at(where), notes=run.scaled)
    return setting.caption(f"{text} {run.counted}{'; ' if ends else '.'}{ends}")


def _note(run: Sensitivity) -> dict[str, Any]:
    return {"note": f"{run.model}, n = {run.samples} sequences"}


def _panel(run: Sensitivity, title: str, bands: Sequence[Band], y_label: str = KL) -> Panel:
    return Panel(title, bands, LENGTH, y_label, **_note(run))


def _band(run: Sensitivity, series: Series, label: str, color: str, dash: Dash = "solid") -> Band:
    curve = run.curve_of(series)
    return Band(label, run.lengths, curve.mean, color, curve.low, curve.high, dash)


def _styled(run: Sensitivity, shown: Iterable[Series], variable: str = "kl") -> list[Band]:
    bands = []
    for one in shown:
        curve, style = run.curve_of(one, variable), style_of(one.kind)
        ends = (style.color, curve.low, curve.high, style.dash)
        bands.append(Band(label_of(one.kind), run.lengths, curve.mean, *ends))
    return bands


def _here(run: Sensitivity) -> list[SaeFacts]:
    """The SAEs of the study's own site, sparsest first."""
    return sorted(run.plan.here, key=lambda sae: sae.l0)


def baselines(run: Sensitivity) -> Drawn:
    """KL and loss increase along directions that need no SAE."""
    shown = run.plan.known(Series(kind, run.plan.site) for kind in p.BASELINE_KINDS)
    panels = [
        _panel(run, "", _styled(run, shown)),
        replace(_panel(run, "", _styled(run, shown)), log="xy"),
        _panel(run, "", _styled(run, shown, "loss_increase"), LOSS),
        _panel(run, "", _styled(run, shown, "crossed"), "share with KL > 0.5 nats"),
    ]
    return draw_bands(panels, _said(
        run, "Output against the length of a perturbation, by kind of direction: KL (top, linear "
        "and logarithmic), loss increase and the share of tokens that have left their prediction "
        "(bottom). Means over tokens and sequences:", BANDS,
    ))  # fmt: skip


def layers(run: Sensitivity) -> Drawn:
    """SAE errors against random directions at every layer, and their ratios."""
    if not has_layers(run):
        return ()
    panels = []
    distances = run.datasets[SUBSTITUTIONS]["distance"]
    for sae in run.plan.per_layer:
        kinds = (p.MIXTURE, p.REAL_MIXTURE, p.ISOTROPIC)
        shown = run.plan.known([sae.series(p.ERROR), *(Series(kind, sae.site) for kind in kinds)])
        title = f"before block {depth_of(sae.site)}, {label_of_sae(sae)}"
        length = float(distances.sel(series=sae.series("sae").name).mean())
        panels.append(replace(_panel(run, title, _styled(run, shown)), marks=[length]))
    panels.append(_ratios(run))
    return draw_bands(panels, _said(
        run, "KL along the error of the SAE of each layer, and along random directions; dotted: "
        "the error's own mean length. Last panel: KL of the reconstruction over that of a random "
        "direction of each error's own length.", "95% intervals over sequences.", OWN_SITES,
    ), columns=3 if len(panels) > 2 else 2)  # fmt: skip


def _ratios(run: Sensitivity) -> Panel:
    depths = [depth_of(sae.site) for sae in run.plan.per_layer]
    bands = []
    for under, kind, name in (("epsilon_random", p.ISOTROPIC, "isotropic"),
                              ("epsilon_mixture", p.MIXTURE, "mixture")):  # fmt: skip
        pairs = [(sae.series("sae"), sae.series(under)) for sae in run.plan.per_layer]
        found = [run.factor(quotient(*pair), SUBSTITUTIONS) for pair in pairs]
        y, low, high = zip(*found, strict=True)
        style = style_of(kind)
        bands.append(
            Band(f"SAE over {name}", depths, y, style.color, low, high, marker=style.marker)
        )
    return Panel("at the error's own length", bands, "before block", "ratio of KLs", level=1.0,
                 ticks=depths, note_at="bottom", **_note(run))  # fmt: skip


def features(run: Sensitivity) -> Drawn:
    """KL along features, one column a family of SAEs, one row a kind of feature."""
    plan, here = run.plan, _here(run)
    kinds = [kind for kind in FEATURES if any(one.kind == kind for one in plan.directions)]
    families = [f for f in p.FAMILIES if any(sae.family == f for sae in here)]
    if not kinds:
        return ()
    panels = []
    mixture = _band(run, Series(p.MIXTURE, plan.site), "Cov-random mixture", "black", "dashed")
    for kind in kinds:
        for family in families:
            bands = _by_sparsity(run, kind, [sae for sae in here if sae.family == family])
            title = f"{FEATURES[kind]}, {FAMILY_SHORT[family]}"
            y_label = KL if family == families[0] else ""
            panels.append(_panel(run, title, [mixture, *bands], y_label))
    dead = "" if "sae_feature_dead" in kinds else " No SAE here has dead latents."
    return draw_bands(panels, _said(
        run, "KL along decoder rows of SAE features, by what the feature does (rows) and what the "
        "SAE was trained to match (columns: local; end to end, e2e; end to end and downstream, "
        f"e2e+ds), by L0 (darker: denser).{dead}", BANDS,
    ), columns=len(families), same_y=True)  # fmt: skip


def _by_sparsity(run: Sensitivity, kind: str, saes: Sequence[SaeFacts]) -> list[Band]:
    """One line an SAE of one family, the denser the darker."""
    known = [sae for sae in saes if sae.series(kind) in run.plan.directions]
    colors = shades(FAMILY_STYLES[saes[0].family][0], len(known))
    return [
        _band(run, sae.series(kind), label_of_sae(sae), colors[i], DASHES[i % len(DASHES)])
        for i, sae in enumerate(known)
    ]


def sparsity(run: Sensitivity) -> Drawn:
    """Ratio of features to the mixture against L0: does sparsity, does the family matter?"""
    ticks = [round(sae.l0) for sae in run.plan.local]
    panels = []

    def place(sae: SaeFacts) -> float:
        return FAMILY_STYLES[sae.family][2] * sae.l0

    for kind, name in FEATURES.items():
        bands = [
            band
            for sense in ("", "_against")
            for family in p.FAMILIES
            for band in _placed(run, f"{kind}{sense}", family, place)
        ]
        if bands:
            panel = Panel(f"features {name}", bands, "L0", "KL over the mixture's", **_note(run))
            panels.append(replace(panel, log="x", level=1.0, ticks=ticks, note_at="bottom"))
    return draw_bands(panels, _said(
        run, "KL along SAE features (filled), and against them (hollow), over that along "
        "cov-random mixtures, geometric mean over the scanned lengths, by the SAE's L0 (families "
        "drawn a little apart) and family: local, end to end (e2e), end to end and downstream "
        "(e2e+ds).", BARS,
    ), same_y=True) if panels else ()  # fmt: skip


def fit(run: Sensitivity) -> Drawn:
    """Ratio of errors and features to the mixture against the variance left unexplained."""
    if not any(sae.family != p.LOCAL for sae in run.plan.here):
        return ()
    panels = []
    ticks = [round(run.unexplained[sae.label], 2) for sae in run.plan.local]
    for kind in (p.ERROR, *FEATURES):
        bands = [
            band
            for family in p.FAMILIES
            for band in _placed(run, kind, family, lambda sae: run.unexplained[sae.label])
        ]
        if len(bands) > 1:
            panels.append(Panel(label_of(kind), bands, "variance left unexplained",
                                "KL over the mixture's", "x", level=1.0, ticks=ticks,
                                note_at="bottom", **_note(run)))  # fmt: skip
    return draw_bands(panels, _said(
        run, "KL along errors and features of SAEs over that along cov-random mixtures, geometric "
        "mean over the scanned lengths, by the share of the activations' variance that the SAE "
        "does not explain: those above each other are alike in it (matched in table_9).", BARS,
    ), same_y=True) if panels else ()  # fmt: skip


def _placed(
    run: Sensitivity, kind: str, family: str, place: Callable[[SaeFacts], float]
) -> list[Band]:
    """The ratios of one family of SAEs to the mixture; empty when it has no such series."""
    known = [sae for sae in _here(run) if sae.family == family]
    known = [sae for sae in known if sae.series(kind) in run.plan.directions]
    if not known:
        return []
    found = [run.ratio_of(sae.series(kind)) for sae in known]
    y, low, high = zip(*found, strict=True)
    color, marker, _ = FAMILY_STYLES[family]
    is_against = kind.endswith("_against")
    return [Band(
        FAMILY_SHORT[family] + (", against" if is_against else ""),
        [place(sae) for sae in known], y, color, low, high,
        dash="dotted" if is_against else "solid", marker=marker, is_hollow=is_against,
    )]  # fmt: skip


def substitution(run: Sensitivity) -> Drawn:
    """KL when activations are replaced, by SAE of the study's own site."""
    here = [sae for sae in _here(run) if sae.series("sae") in run.plan.substitutions]
    here.sort(key=lambda sae: p.FAMILIES.index(sae.family))
    if not here:
        return ()
    kinds = []
    for kind in p.PER_SAE:
        found = [run.curve_of(sae.series(kind), "kl", SUBSTITUTIONS).at(0) for sae in here]
        kinds.append(Bars(style_of(kind).label, style_of(kind).color, *zip(*found, strict=True)))
    levels = []
    for kind in p.PER_SITE:
        curve = run.curve_of(Series(kind, here[0].site), "kl", SUBSTITUTIONS)
        style = style_of(kind)
        levels.append(Level(style.label, float(curve.mean[0]), style.color, style.dash))
    groups = [label_of_sae(sae).replace(", ", "\n") for sae in here]
    return draw_bars(BarPanel(groups, kinds, KL, levels, **_note(run)), _said(
        run, "KL when the activations are replaced: by the SAE's reconstruction, by random points "
        "as far away (epsilon) or at the same angle (theta), with norms exchanged, by the mean "
        "activation, by zero.", BARS,
    ))  # fmt: skip


def blends(run: Sensitivity) -> Drawn:
    """From difference to mixture."""
    if not has_blends(run):
        return ()
    panels = []
    for source, name in (("cov_random", "cov-random"), ("real", "real")):
        shown = blends_of(run, source)
        bands = [
            _band(run, one, f"proportion {share:g}", color)
            for (share, one), color in zip(shown, shades("tab:green", len(shown)), strict=True)
        ]
        zero = _band(run, Series(p.TOWARDS_ZERO, run.plan.site), "towards zero", "black", "dotted")
        panels.append(_panel(run, f"{name} activations", [*bands, zero]))
    return draw_bands(panels, _said(
        run, "KL along directions between difference (proportion 0) and mixture (1): from the "
        "base mixed with a second activation to a first one. Dotted black: straight towards zero.",
        BANDS,
    ), same_y=True)  # fmt: skip


def shapes(run: Sensitivity) -> Drawn:
    """Mean, median and spread over tokens, of nine series at most."""
    x = run.lengths[1:]
    chosen = [one for one in shown_shapes(run) if one.kind != p.TOWARDS_ZERO][:9]
    panels = []
    for one in chosen:
        low, middle, high = run.quantiles.sel(series=one.name).values[1:].T
        mean = run.curve_of(one).mean[1:]
        bands = [
            Band("median over tokens (shaded: 10% to 90%)", x, middle, "tab:blue", low, high),
            Band("mean over tokens", x, mean, "tab:orange", dash="dashed"),
        ]
        panels.append(replace(_panel(run, label_of(one.kind), bands), log="xy"))
    saes = sorted({one.sae for one in chosen if one.sae})
    whose = f" Error and features of {', '.join(saes)}." if saes else ""
    return draw_bands(panels, _said(
        run, "How KL is spread over tokens: quantiles within a sequence, averaged over "
        f"sequences.{whose}",
    ), columns=3, same_y=True)  # fmt: skip


FIGURES = [
    Figure(f"figure_{number}", draw)
    for number, draw in enumerate(
        (baselines, layers, features, sparsity, substitution, blends, shapes, fit), start=1
    )
]
