"""From a measured run to its tables, figures, claims and summary. Needs no model."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from steppe.recipes import reporting
from steppe.recipes.lee2024 import plan as p
from steppe.recipes.lee2024 import tables
from steppe.recipes.lee2024.analysis import OWN_SITES, Analysis
from steppe.recipes.lee2024.claims import claims_table
from steppe.recipes.lee2024.figures import ROWS, Figures
from steppe.recipes.lee2024.plan import Series
from steppe.recipes.lee2024.published import published
from steppe.recipes.prompt_facts import prompt_facts
from steppe.recipes.reporting import fit_text, short
from steppe.report import Setting, label_of
from steppe.store import FIGURES, open_run
from steppe.store.writing import write_atomically

TITLE = "Investigating Sensitive Directions (Lee & Heimersheim 2024)"
_INTERVALS = "Brackets: 95% intervals over sequences."
_PUBLISHED = {
    "errors": "the error direction of 22 SAEs along fixed lengths (KL and loss, in nats per token)",
    "substitution": "substitutions by 16 SAEs; columns that end in dig were read off a chart",
    "features": "KL along SAE features at lengths 51 and 201, read off figures",
}


@dataclass(kw_only=True)
class Report(reporting.Report):
    """What has been written so far.

    Attributes:
        analysis: The run and its settings.
        figures_of: What draws its figures.
    """

    analysis: Analysis
    figures_of: Figures

    def add(self, name: str, table: pd.DataFrame, text: str, where: str = "") -> None:
        """Write a table, if it has rows, with what every caption says.

        Args:
            name: The table's name.
            table: The table.
            text: What is special to it.
            where: Where activations are moved, if not at the study's own site.
        """
        if len(table):
            self.add_table(name, table, f"{text} {_caption(self.analysis, where)}")


def report_outcome(path: Path) -> None:
    """Write every table and figure that the run has the series for, the claims, the summary."""
    run = open_run(path)
    analysis = Analysis.of(run)
    setting = Setting(subject=analysis.moved_at(), notes=_scale_text(analysis))
    report = Report(run=run, analysis=analysis, figures_of=Figures(analysis, setting))
    _baselines(report)
    _errors(report)
    _features(report)
    if analysis.substitutions is not None:
        text = (
            "KL and loss increase when activations are replaced (that of the first position is "
            f"{_first_position(analysis)}), in nats per token."
        )
        report.add("table_5", tables.substitution_table(analysis), text, OWN_SITES)
        if report.figures_of.has_substitutions:
            report.add_figure("figure_5", report.figures_of.substitution())
    _checks(report)
    _curves(report)
    for name, text in _PUBLISHED.items():
        caption = f"As published by the authors, on GPT-2 small at layer 6: {text}."
        report.add_table(f"published_{name}", published(name), caption)
    title = f"{TITLE}, on {analysis.subject}"
    report.finish(title, _facts(analysis), claims_table(analysis), _claims_caption(analysis))


def _baselines(report: Report) -> None:
    analysis = report.analysis
    kinds = (*p.BASELINE_KINDS, *p.FIRST_KINDS, p.TOWARDS_ZERO)
    chosen = _known(analysis, [Series(kind, analysis.plan.site) for kind in kinds])
    text = (
        "KL in nats per token along directions that need no SAE; ratio: KL over the cov-random "
        "mixture's, geometric mean over all scanned lengths. With_first in a kind: the first "
        "position is counted in the mean and covariance, as in the authors' code; in a column: it "
        "is counted in the average."
    )
    report.add("table_1", tables.baseline_table(analysis, chosen), text)
    drawn = [kind for kind in p.BASELINE_KINDS if Series(kind, analysis.plan.site) in chosen]
    report.add_figure("figure_1", report.figures_of.baselines(drawn))


def _errors(report: Report) -> None:
    analysis = report.analysis
    wanted = {Series("sae", sae.site, sae.label) for sae in analysis.plan.per_layer}
    errors = {Series(p.ERROR, sae.site, sae.label) for sae in analysis.plan.per_layer}
    has_all = wanted <= set(analysis.plan.substitutions)
    if not wanted or not has_all or not errors <= set(analysis.plan.directions):
        return
    text = (
        "SAE errors by layer, each layer's SAE being the local one of like L0: mean length of the "
        "error, KL of the reconstruction, of random directions of the error's length, and the "
        "ratios (to isotropic: Gurnee's number). Over lengths: KL along the error over that along "
        "a mixture, geometric mean over all scanned lengths."
    )
    report.add("table_2", tables.layer_table(analysis), text, OWN_SITES)
    report.add_figure("figure_2", report.figures_of.layers())


def _features(report: Report) -> None:
    analysis = report.analysis
    chosen = [s for s in analysis.plan.directions if s.sae and s.site == analysis.plan.site]
    text = (
        "KL in nats per token along the error and the features of each SAE; ratio: over the "
        "cov-random mixture's, geometric mean over all scanned lengths."
    )
    report.add("table_3", tables.series_table(analysis, chosen), text)
    text = (
        "KL along features of end-to-end SAEs over that along local ones, interpolated between "
        "local SAEs to the same L0 (L0 of local; where it is not the SAE's own, no local SAE is as "
        "sparse, or as dense); geometric mean over all scanned lengths."
    )
    report.add("table_4", tables.matched_table(analysis), text)
    if any(series.kind in ROWS for series in chosen):
        report.add_figure("figure_3", report.figures_of.features())
        report.add_figure("figure_4", report.figures_of.sparsity())


def _checks(report: Report) -> None:
    analysis = report.analysis
    site = analysis.plan.site
    if Series(p.TOWARDS_ZERO, site) in analysis.plan.directions:
        text = (
            "From difference (proportion 0) to mixture (1): KL in nats per token, and its ratio to "
            "the mixture of the same source, geometric mean over all scanned lengths."
        )
        report.add("table_6", tables.blend_table(analysis), text)
        report.add_figure("figure_6", report.figures_of.blends())
    if analysis.saes is not None:
        text = (
            "How evenly the decoder rows of each SAE point everywhere. Effective dimension: "
            "participation ratio of the rows' second moment over d_model (1: isotropic); variance "
            "along: of the activations, along the rows, over that along isotropic directions; both "
            "also weighed by firing rate. Last columns: KL along features over KL along isotropic "
            "directions."
        )
        report.add("table_7", tables.isotropy_table(analysis), text)
    main = [sae for sae in analysis.plan.per_layer if sae.site == site]
    own = [Series(kind, site, sae.label) for sae in main for kind in (p.ERROR, *ROWS)]
    kinds = (*p.BASELINE_KINDS, p.TOWARDS_ZERO)
    chosen = _known(analysis, [*(Series(kind, site) for kind in kinds), *own])
    text = (
        "What the mean hides: exponent of KL in length between the second and the third shortest "
        "length (2: a quadratic); quantiles over the tokens of a sequence, averaged over "
        "sequences; share of tokens above 0.5 nats, and the length at which half of them are."
    )
    report.add("table_8", tables.shape_table(analysis, chosen), text)
    shown = [(label_of(series.kind), series) for series in chosen if series.kind != p.TOWARDS_ZERO][
        :9
    ]
    report.add_figure("figure_7", report.figures_of.shapes(shown))


def _curves(report: Report) -> None:
    """Every series at every length, beside the figures that are drawn from it: too long to read."""
    table = tables.curve_table(report.analysis)
    write_atomically(report.root / FIGURES / "curves.csv", table.to_csv(index=False).encode())


def _known(analysis: Analysis, wanted: list[Series]) -> list[Series]:
    return [series for series in wanted if series in analysis.plan.directions]


def _scale_text(analysis: Analysis) -> str:
    if analysis.scale == 1:
        return "Lengths are the paper's."
    return (
        f"Lengths are the paper's times {analysis.scale:.3g}, the ratio of this subject's "
        "activation norms to GPT-2's."
    )


def _caption(analysis: Analysis, where: str = "") -> str:
    return (
        f"{analysis.counted}. {_INTERVALS} Subject: {analysis.moved_at(where)}. "
        f"{_scale_text(analysis)}"
    )


def _claims_caption(analysis: Analysis) -> str:
    return (
        "The paper's claims on this subject. Numbers are differences of ln KL, averaged over the "
        "scanned lengths unless they are of substitutions; positive where the claim holds, which "
        "it does where the whole 95% interval over sequences is positive. Intervals say "
        f"nothing of other SAEs. Number at length {analysis.middle[0]}: the same at that length of "
        "GPT-2 alone. Published: from the authors' printed numbers and figures (GPT-2 small; of "
        f"features at length 51, so beside the number there). {_caption(analysis)}"
    )


def _facts(analysis: Analysis) -> dict[str, object]:
    resolved = analysis.run.config["resolved"]
    settings = analysis.settings
    return {
        "subject": f"{analysis.subject} (weights {short(resolved['subject_identity'])})",
        "coordinates": resolved["coordinates"],
        "moved at": analysis.moved_at(),
        "lengths": f"{', '.join(f'{x:.4g}' for x in analysis.lengths)}. {_scale_text(analysis)}",
        "SAEs": "; ".join(
            f"{sae.label} ({sae.family}, L0 {sae.l0:.1f}, {sae.dead} dead latents)"
            for sae in analysis.plan.saes
        )
        or "none",
        "SAE fit": fit_text(analysis.run),
        "parts left out": ", ".join(_left_out(analysis)) or "none",
        **prompt_facts(resolved),
        "samples": f"{settings.samples} sequences",
        "moments from": f"{resolved['moments_from']} activations, the first of each sequence left "
        "out",
        "first position": f"moved along directions; in substitutions {_first_position(analysis)}; "
        "not in averages, unless a column says with_first",
        "seed": settings.seed,
    }


def _first_position(analysis: Analysis) -> str:
    return str(analysis.run.config["resolved"]["first_position"])


def _left_out(analysis: Analysis) -> list[str]:
    plan, asked = analysis.plan, analysis.settings.only or p.PARTS
    here = [sae for sae in plan.saes if sae.site == plan.site]
    families = {sae.family for sae in here}
    lacking = {
        p.ERRORS: not plan.per_layer,
        p.FEATURES: p.LOCAL not in families,
        p.END_TO_END: not families - {p.LOCAL},
        p.SUBSTITUTION: not here,
    }
    reasons = [f"{part} (no SAE for it)" for part, lacks in lacking.items() if lacks]
    return [*reasons, *(f"{part} (not asked for)" for part in p.PARTS if part not in asked)]
