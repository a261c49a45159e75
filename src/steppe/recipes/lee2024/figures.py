"""A run's figures: KL against length, ratios by layer, features by sparsity, substitutions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from steppe.recipes.lee2024 import plan as p
from steppe.recipes.lee2024.analysis import Analysis, label_of_sae
from steppe.recipes.lee2024.outputs import SUBSTITUTIONS
from steppe.recipes.lee2024.plan import SaeFacts, Series
from steppe.recipes.lee2024.tables import blends_of, quotient
from steppe.report import (
    Band,
    Bars,
    Dash,
    Drawing,
    Panel,
    Setting,
    draw_bands,
    draw_bars,
    label_of,
    style_of,
)

COLORS = ("tab:purple", "tab:blue", "tab:green", "tab:orange", "tab:red", "tab:brown", "tab:pink")
FAMILY_COLORS = {p.LOCAL: "tab:blue", p.E2E: "tab:red", p.DOWNSTREAM: "tab:green"}
FAMILY_NAMES = {
    p.LOCAL: "local SAEs",
    p.E2E: "end-to-end SAEs (e2e)",
    p.DOWNSTREAM: "e2e+downstream SAEs (e2e+ds)",
}
FAMILY_SHORT = {p.LOCAL: "local", p.E2E: "e2e", p.DOWNSTREAM: "e2e+ds"}
# Families of one L0 are drawn a little apart.
FAMILY_SHIFT = {p.LOCAL: 1.0, p.E2E: 0.96, p.DOWNSTREAM: 1.04}
ROWS = {
    "sae_feature_alive": "alive elsewhere",
    "sae_feature_active_in_prompt": "active in the prompt",
    "sae_feature_active": "active at the token",
    "sae_feature_dead": "dead",
}
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
    def _x(self) -> str:
        return "length (residual stream)"

    @property
    def _n(self) -> str:
        n, length = self.analysis.samples, self.analysis.settings.prompt_length
        if self.analysis.settings.positions == "last":
            return f"n = {n} sequences, one token each"
        return f"n = {n} sequences of {length - 2} tokens"

    @property
    def _note(self) -> str:
        return f"{self.analysis.subject}, n = {self.analysis.samples}"

    def _panel(self, title: str, bands: Sequence[Band], y_label: str = KL) -> Panel:
        return Panel(title, bands, self._x, y_label, note=self._note)

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
            self._panel("", self._bands(shown, "crossed"), "tokens with KL > 0.5 (share)"),
        ]
        return draw_bands(panels, self.setting.caption(
            "Output against the length of a perturbation, by kind of direction: KL (top, linear "
            "and logarithmic), loss increase and the share of tokens that have left their "
            f"prediction (bottom). Means over tokens and sequences ({self._n}); bands: 95% "
            "bootstrap intervals over sequences."
        ))  # fmt: skip

    def layers(self) -> Drawing:
        """SAE errors against random directions at every layer, and their ratios."""
        panels = []
        for sae in self.analysis.plan.per_layer:
            shown = [Series(p.ERROR, sae.site, sae.label), Series(p.MIXTURE, sae.site),
                     Series(p.REAL_MIXTURE, sae.site), Series(p.ISOTROPIC, sae.site)]  # fmt: skip
            known = [one for one in shown if one in self.analysis.plan.directions]
            title = f"before block {_layer(sae)}, {label_of_sae(sae)}"
            panel = self._panel(title, self._bands(known))
            panels.append(replace(panel, marks=[self._own_length(sae)]))
        panels.append(self._ratios())
        return draw_bands(panels, self.setting.caption(
            "KL along the error of the SAE of each layer, and along random directions; dotted: the "
            "error's own mean length. Last panel: KL of the reconstruction over that of a random "
            f"direction of each error's own length. {self._n}; 95% bootstrap intervals over "
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
                those = [sae for sae in here if sae.family == family]
                known = [(s, Series(kind, plan.site, s.label)) for s in those]
                bands = [
                    self._band(one, label_of_sae(sae), COLORS[here.index(sae) % len(COLORS)])
                    for sae, one in known
                    if one in plan.directions
                ]
                title = f"{ROWS[kind]}, {FAMILY_SHORT[family]}"
                y_label = KL if family == families[0] else ""
                panels.append(self._panel(title, [*bands, mixture], y_label))
        return draw_bands(panels, self.setting.caption(
            "KL along decoder rows of SAE features, by what the feature does (rows) and what the "
            f"SAE was trained to match (columns), by L0. {self._n}; bands: 95% bootstrap "
            "intervals over sequences. Dead features exist only in some SAEs.",
        ), columns=len(families), same_y=True)  # fmt: skip

    def sparsity(self) -> Drawing:
        """Ratio of features to the mixture against L0: does sparsity, does the family matter?"""
        plan = self.analysis.plan
        here = self._here()
        mixture = Series(p.MIXTURE, plan.site)
        panels = []
        for kind, name in ROWS.items():
            bands = []
            for family in p.FAMILIES:
                known = [
                    (sae, Series(kind, plan.site, sae.label)) for sae in here
                    if sae.family == family
                    and Series(kind, plan.site, sae.label) in plan.directions
                ]  # fmt: skip
                if known:
                    bands.append(self._against_l0(known, mixture, family))
            if bands:
                ticks = [round(sae.l0) for sae in here if sae.family == p.LOCAL]
                panels.append(Panel(f"features {name}", bands, "L0", "KL over the mixture's",
                                    log="x", level=1.0, ticks=ticks, note=self._note,
                                    note_at="bottom"))  # fmt: skip
        return draw_bands(panels, self.setting.caption(
            "KL along SAE features over that along cov-random mixtures, geometric mean over the "
            "scanned lengths, against the SAE's L0 (families drawn a little apart). "
            f"{self._n}; bars: 95% bootstrap intervals over sequences.",
        ))  # fmt: skip

    def substitution(self) -> Drawing:
        """KL when activations are replaced, by SAE."""
        here = sorted(self._here(), key=lambda sae: p.FAMILIES.index(sae.family))
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
        groups = [label_of_sae(sae).replace(", ", "\n") for sae in here]
        return draw_bars(groups, kinds, KL, self.setting.caption(
            "KL when the activations are replaced: by the SAE's reconstruction, by random points "
            "as far away (epsilon) or at the same angle (theta), and with norms exchanged. "
            f"{self._n}; bars: 95% bootstrap intervals over sequences.",
        ), note=self._note)  # fmt: skip

    def blends(self) -> Drawing:
        """From difference to mixture."""
        panels = []
        for source, name in (("cov_random", "cov-random"), ("real", "real")):
            shown = blends_of(self.analysis, source)
            bands = [
                self._band(one, f"proportion {share:g}", color)
                for (share, one), color in zip(shown, COLORS, strict=False)
            ]
            zero = Series(p.TOWARDS_ZERO, self.analysis.plan.site)
            bands.append(self._band(zero, "towards zero", "black", "dotted"))
            panels.append(self._panel(f"{name} activations", bands))
        return draw_bands(panels, self.setting.caption(
            "KL along directions between difference (proportion 0) and mixture (1): from the base "
            "mixed with a second activation to a first one. Dotted black: straight towards zero. "
            f"{self._n}; bands: 95% bootstrap intervals over sequences.",
        ))  # fmt: skip

    def shapes(self, chosen: Sequence[tuple[str, Series]]) -> Drawing:
        """Mean, median and spread over tokens."""
        quantiles = self.analysis.directions["kl_quantile"].mean("sample")
        x = self.analysis.lengths[1:]
        panels = []
        for title, series in chosen:
            low, middle, high = quantiles.sel(series=series.name).values[1:].T
            mean = self.analysis.curve_of(series).mean[1:]
            bands = [
                Band("median over tokens (shaded: 10% to 90%)", x, middle, "tab:blue", low, high),
                Band("mean over tokens", x, mean, "tab:orange", dash="dashed"),
            ]
            panels.append(replace(self._panel(title, bands), log="xy"))
        return draw_bands(panels, self.setting.caption(
            "How KL is spread over tokens: quantiles within a sequence, averaged over sequences. "
            f"{self._n}.",
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

    def _against_l0(
        self, known: Sequence[tuple[SaeFacts, Series]], mixture: Series, family: str
    ) -> Band:
        found = [self.analysis.ratio_of(series, mixture) for _, series in known]
        return Band(
            FAMILY_NAMES[family], [FAMILY_SHIFT[family] * sae.l0 for sae, _ in known],
            [f.number for f in found], FAMILY_COLORS[family],
            [f.low for f in found], [f.high for f in found], marker="o",
        )  # fmt: skip

    def _ratios(self) -> Panel:
        layers = self.analysis.plan.per_layer
        bands = []
        named = {"epsilon_random": "over isotropic", "epsilon_mixture": "over mixture"}
        for under, name in named.items():
            both = [[Series(k, sae.site, sae.label) for k in ("sae", under)] for sae in layers]
            found = [self.analysis.number(quotient(*pair), dataset=SUBSTITUTIONS) for pair in both]
            kind = p.ISOTROPIC if under == "epsilon_random" else p.MIXTURE
            bands.append(
                Band(f"SAE {name}", [_layer(sae) for sae in layers], [f.number for f in found],
                     style_of(kind).color, [f.low for f in found], [f.high for f in found],
                     marker=style_of(kind).marker)
            )  # fmt: skip
        return Panel("at the error's own length", bands, "layer", "ratio of KLs", level=1.0,
                     ticks=[_layer(sae) for sae in layers], note=self._note,
                     note_at="bottom")  # fmt: skip

    def _own_length(self, sae: SaeFacts) -> float:
        substitutions = self.analysis.substitutions
        assert substitutions is not None
        name = Series("sae", sae.site, sae.label).name
        return float(substitutions["distance"].sel(series=name).mean())


def _layer(sae: SaeFacts) -> int:
    return int("".join(character for character in sae.site if character.isdigit()))
