"""A run's figures: KL against length, ratios by layer, features by sparsity, substitutions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from steppe.recipes.lee2024 import plan as p
from steppe.recipes.lee2024.analysis import FAMILY_SHORT, OWN_SITES, Analysis, label_of_sae
from steppe.recipes.lee2024.outputs import SUBSTITUTIONS
from steppe.recipes.lee2024.plan import SaeFacts, Series, depth_of
from steppe.recipes.lee2024.tables import blends_of, quotient
from steppe.report import (
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

DASHES: tuple[Dash, ...] = ("solid", "dashed", "dashdot", "dotted", (0, (6, 1, 1, 1, 1, 1)))
FAMILY_COLORS = {p.LOCAL: "tab:blue", p.E2E: "tab:red", p.DOWNSTREAM: "tab:green"}
FAMILY_MARKERS = {p.LOCAL: "o", p.E2E: "s", p.DOWNSTREAM: "^"}
# Families of one L0 are drawn a little apart.
FAMILY_SHIFT = {p.LOCAL: 1.0, p.E2E: 0.96, p.DOWNSTREAM: 1.04}
ROWS = {
    "sae_feature_alive": "alive elsewhere",
    "sae_feature_active_in_prompt": "active in the prompt",
    "sae_feature_active": "active at the token",
    "sae_feature_dead": "dead",
}
LENGTH = "length (activation units)"
KL = "KL (nats per token)"
LOSS = "loss increase (nats per token)"


@dataclass(frozen=True)
class Figures:
    """What every figure of a run is drawn from.

    Attributes:
        analysis: The run.
        setting: The subject, and what is said under every figure.
    """

    analysis: Analysis
    setting: Setting

    @property
    def has_substitutions(self) -> bool:
        """Whether an SAE of the study's own site was substituted."""
        return any(map(self._is_substituted, self._here()))

    @property
    def _note(self) -> str:
        return f"{self.analysis.subject}, n = {self.analysis.samples} sequences"

    def _panel(self, title: str, bands: Sequence[Band], y_label: str = KL) -> Panel:
        return Panel(title, bands, LENGTH, y_label, note=self._note)

    def _here(self) -> list[SaeFacts]:
        """The SAEs of the study's own site, sparsest first."""
        plan = self.analysis.plan
        return sorted((s for s in plan.saes if s.site == plan.site), key=lambda sae: sae.l0)

    def baselines(self, kinds: Sequence[str]) -> Drawing:
        """KL and loss increase along directions that need no SAE."""
        shown = [Series(kind, self.analysis.plan.site) for kind in kinds]
        panels = [
            self._panel("", self._bands(shown)),
            replace(self._panel("", self._bands(shown)), log="xy"),
            self._panel("", self._bands(shown, "loss_increase"), LOSS),
            self._panel("", self._bands(shown, "crossed"), "share with KL > 0.5 nats"),
        ]
        return draw_bands(panels, self.setting.caption(
            "Output against the length of a perturbation, by kind of direction: KL (top, linear "
            "and logarithmic), loss increase and the share of tokens that have left their "
            "prediction (bottom). Means over tokens and sequences: "
            f"{self.analysis.counted}; bands: 95% intervals over sequences."
        ))  # fmt: skip

    def layers(self) -> Drawing:
        """SAE errors against random directions at every layer, and their ratios."""
        panels = []
        for sae in self.analysis.plan.per_layer:
            shown = [Series(p.ERROR, sae.site, sae.label), Series(p.MIXTURE, sae.site),
                     Series(p.REAL_MIXTURE, sae.site), Series(p.ISOTROPIC, sae.site)]  # fmt: skip
            known = [one for one in shown if one in self.analysis.plan.directions]
            title = f"before block {depth_of(sae.site)}, {label_of_sae(sae)}"
            panel = self._panel(title, self._bands(known))
            panels.append(replace(panel, marks=[self._own_length(sae)]))
        panels.append(self._ratios())
        setting = replace(self.setting, subject=self.analysis.moved_at(OWN_SITES))
        return draw_bands(panels, setting.caption(
            "KL along the error of the SAE of each layer, and along random directions; dotted: the "
            "error's own mean length. Last panel: KL of the reconstruction over that of a random "
            f"direction of each error's own length. {self.analysis.counted}; 95% intervals over "
            "sequences.",
        ), columns=3 if len(panels) > 2 else 2)  # fmt: skip

    def features(self) -> Drawing:
        """KL along features, one column a family of SAEs, one row a kind of feature."""
        plan = self.analysis.plan
        here = self._here()
        families = [f for f in p.FAMILIES if any(sae.family == f for sae in here)]
        kinds = [k for k in ROWS if any(one.kind == k for one in plan.directions)]
        panels = []
        mixture = self._band(Series(p.MIXTURE, plan.site), "Cov-random mixture", "black", "dashed")
        for kind in kinds:
            for family in families:
                bands = self._by_sparsity(kind, [sae for sae in here if sae.family == family])
                title = f"{ROWS[kind]}, {FAMILY_SHORT[family]}"
                y_label = KL if family == families[0] else ""
                panels.append(self._panel(title, [mixture, *bands], y_label))
        dead = "" if "sae_feature_dead" in kinds else " No SAE here has dead latents."
        return draw_bands(panels, self.setting.caption(
            "KL along decoder rows of SAE features, by what the feature does (rows) and what the "
            "SAE was trained to match (columns: local; end to end, e2e; end to end and downstream, "
            f"e2e+ds), by L0 (darker: denser).{dead} "
            f"{self.analysis.counted}; bands: 95% intervals over sequences.",
        ), columns=len(families), same_y=True)  # fmt: skip

    def sparsity(self) -> Drawing:
        """Ratio of features to the mixture against L0: does sparsity, does the family matter?"""
        here = self._here()
        ticks = [round(sae.l0) for sae in here if sae.family == p.LOCAL]
        panels = []
        for kind, name in ROWS.items():
            bands = [
                band
                for sense in ("", "_against")
                for family in p.FAMILIES
                for band in self._against_l0(f"{kind}{sense}", family)
            ]
            if bands:
                panels.append(Panel(f"features {name}", bands, "L0", "KL over the mixture's",
                                    log="x", level=1.0, ticks=ticks, note=self._note,
                                    note_at="bottom"))  # fmt: skip
        return draw_bands(panels, self.setting.caption(
            "KL along SAE features (filled), and against them (hollow), over that along cov-random "
            "mixtures, geometric mean over the scanned lengths, by the SAE's L0 (families drawn a "
            "little apart) and family: local, end to end (e2e), end to end and downstream "
            f"(e2e+ds). {self.analysis.counted}; bars: 95% intervals over "
            "sequences.",
        ), same_y=True)  # fmt: skip

    def substitution(self) -> Drawing:
        """KL when activations are replaced, by SAE of the study's own site."""
        here = sorted(
            (sae for sae in self._here() if self._is_substituted(sae)),
            key=lambda sae: p.FAMILIES.index(sae.family),
        )
        kinds = []
        for kind in p.PER_SAE:
            style = style_of(kind)
            found = [
                self.analysis.curve_of(Series(kind, sae.site, sae.label), "kl", SUBSTITUTIONS)
                for sae in here
            ]
            kinds.append(
                Bars(style.label, style.color, [c.mean[0] for c in found],
                     [c.low[0] for c in found], [c.high[0] for c in found])
            )  # fmt: skip
        levels = [
            Level(style_of(kind).label, float(curve.mean[0]), style_of(kind).color,
                  style_of(kind).dash)
            for kind in p.PER_SITE
            for curve in [self.analysis.curve_of(Series(kind, here[0].site), "kl", SUBSTITUTIONS)]
        ]  # fmt: skip
        groups = [label_of_sae(sae).replace(", ", "\n") for sae in here]
        return draw_bars(BarPanel(groups, kinds, KL, levels, self._note), self.setting.caption(
            "KL when the activations are replaced: by the SAE's reconstruction, by random points "
            "as far away (epsilon) or at the same angle (theta), with norms exchanged, by the mean "
            f"activation, by zero. {self.analysis.counted}; bars: 95% intervals over "
            "sequences.",
        ))  # fmt: skip

    def blends(self) -> Drawing:
        """From difference to mixture."""
        panels = []
        for source, name in (("cov_random", "cov-random"), ("real", "real")):
            shown = blends_of(self.analysis, source)
            bands = [
                self._band(one, f"proportion {share:g}", color)
                for (share, one), color in zip(shown, shades("tab:green", len(shown)), strict=True)
            ]
            zero = Series(p.TOWARDS_ZERO, self.analysis.plan.site)
            bands.append(self._band(zero, "towards zero", "black", "dotted"))
            panels.append(self._panel(f"{name} activations", bands))
        return draw_bands(panels, self.setting.caption(
            "KL along directions between difference (proportion 0) and mixture (1): from the base "
            "mixed with a second activation to a first one. Dotted black: straight towards zero. "
            f"{self.analysis.counted}; bands: 95% intervals over sequences.",
        ), same_y=True)  # fmt: skip

    def shapes(self, chosen: Sequence[tuple[str, Series]]) -> Drawing:
        """Mean, median and spread over tokens."""
        x = self.analysis.lengths[1:]
        panels = []
        for title, series in chosen:
            low, middle, high = self.analysis.quantiles.sel(series=series.name).values[1:].T
            mean = self.analysis.curve_of(series).mean[1:]
            bands = [
                Band("median over tokens (shaded: 10% to 90%)", x, middle, "tab:blue", low, high),
                Band("mean over tokens", x, mean, "tab:orange", dash="dashed"),
            ]
            panels.append(replace(self._panel(title, bands), log="xy"))
        saes = sorted({series.sae for _, series in chosen if series.sae})
        whose = f" Error and features of {', '.join(saes)}." if saes else ""
        return draw_bands(panels, self.setting.caption(
            "How KL is spread over tokens: quantiles within a sequence, averaged over sequences."
            f"{whose} {self.analysis.counted}.",
        ), columns=3, same_y=True)  # fmt: skip

    def _bands(self, shown: Sequence[Series], variable: str = "kl") -> list[Band]:
        return [
            self._band(one, label_of(one.kind), style_of(one.kind).color,
                       style_of(one.kind).dash, variable)
            for one in shown
        ]  # fmt: skip

    def _band(
        self, series: Series, label: str, color: str, dash: Dash = "solid", variable: str = "kl"
    ) -> Band:
        curve = self.analysis.curve_of(series, variable)
        return Band(label, self.analysis.lengths, curve.mean, color, curve.low, curve.high, dash)

    def _by_sparsity(self, kind: str, saes: Sequence[SaeFacts]) -> list[Band]:
        """One line an SAE of one family, the denser the darker."""
        known = [(sae, Series(kind, sae.site, sae.label)) for sae in saes]
        known = [(sae, one) for sae, one in known if one in self.analysis.plan.directions]
        colors = shades(FAMILY_COLORS[saes[0].family], len(known))
        return [
            self._band(one, label_of_sae(sae), colors[i], DASHES[i % len(DASHES)])
            for i, (sae, one) in enumerate(known)
        ]

    def _against_l0(self, kind: str, family: str) -> list[Band]:
        """The ratios of one family of SAEs to the mixture; empty when it has no such features."""
        plan = self.analysis.plan
        known = [(sae, Series(kind, plan.site, sae.label)) for sae in self._here()]
        known = [(s, one) for s, one in known if s.family == family and one in plan.directions]
        if not known:
            return []
        mixture = Series(p.MIXTURE, plan.site)
        found = [self.analysis.ratio_of(series, mixture) for _, series in known]
        is_against = kind.endswith("_against")
        return [Band(
            FAMILY_SHORT[family] + (", against" if is_against else ""),
            [FAMILY_SHIFT[family] * sae.l0 for sae, _ in known],
            [f.number for f in found], FAMILY_COLORS[family],
            [f.low for f in found], [f.high for f in found],
            dash="dotted" if is_against else "solid", marker=FAMILY_MARKERS[family],
            is_hollow=is_against,
        )]  # fmt: skip

    def _ratios(self) -> Panel:
        layers = self.analysis.plan.per_layer
        depths = [depth_of(sae.site) for sae in layers]
        bands = []
        named = {"epsilon_random": "over isotropic", "epsilon_mixture": "over mixture"}
        for under, name in named.items():
            both = [[Series(k, sae.site, sae.label) for k in ("sae", under)] for sae in layers]
            found = [self.analysis.factor(quotient(*pair), SUBSTITUTIONS) for pair in both]
            style = style_of(p.ISOTROPIC if under == "epsilon_random" else p.MIXTURE)
            bands.append(
                Band(f"SAE {name}", depths, [f.number for f in found], style.color,
                     [f.low for f in found], [f.high for f in found], marker=style.marker)
            )  # fmt: skip
        return Panel("at the error's own length", bands, "before block", "ratio of KLs", level=1.0,
                     ticks=depths, note=self._note,
                     note_at="bottom")  # fmt: skip

    def _is_substituted(self, sae: SaeFacts) -> bool:
        return Series("sae", sae.site, sae.label) in self.analysis.plan.substitutions

    def _own_length(self, sae: SaeFacts) -> float:
        substitutions = self.analysis.substitutions
        assert substitutions is not None
        name = Series("sae", sae.site, sae.label).name
        return float(substitutions["distance"].sel(series=name).mean())
