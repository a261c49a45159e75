"""From a measured run to its tables, figures, claims and summary. Needs no model."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import xarray as xr

from steppe.core.axes import CONTEXT, KIND, MODE
from steppe.recipes import reporting
from steppe.recipes.giglemiani2024.claims import claims_table
from steppe.recipes.giglemiani2024.outputs import (
    EXAMPLE_FIGURE,
    LATENT_FIGURES,
    LATENT_OUTPUT,
    PLATEAU_OUTPUT,
    STEP_TABLES,
    Selection,
    StepTable,
    select,
)
from steppe.recipes.giglemiani2024.steps import (
    CENSORED,
    WAITING,
    Analysis,
    latent_table,
    plateau_steps,
    plateau_table,
    step_table,
    table_steps,
)
from steppe.recipes.prompt_facts import prompt_facts
from steppe.recipes.reporting import fit_text, short
from steppe.report import (
    Setting,
    example_curves,
    latent_cosines,
    latent_counts,
    step_distribution,
)
from steppe.store import open_run

TITLE = "Evaluating Synthetic Activations composed of SAE Latents (Giglemiani et al. 2024)"
# The paper's Figure 3 leaves out steps above 40.
FIGURE_3_UP_TO = 40.0


@dataclass(kw_only=True)
class Report(reporting.Report):
    """What has been written so far.

    Attributes:
        analysis: The run and its settings.
        selection: What was asked for.
        steps: The steps behind each table, for the claims.
    """

    analysis: Analysis
    selection: Selection
    steps: dict[str, xr.DataArray] = field(default_factory=dict)


def report_outcome(path: Path) -> None:
    """Write every table and figure that was asked for, the claims, and the summary."""
    run = open_run(path)
    analysis = Analysis.of(run)
    selection = select(analysis.settings.only, analysis.settings.kinds)
    report = Report(run=run, analysis=analysis, selection=selection)
    if selection.wants(EXAMPLE_FIGURE):
        _example_figure(report)
    for table in STEP_TABLES:
        if selection.wants(table.name) or selection.wants(table.figure):
            _step_outputs(report, table)
    if selection.bases:
        _plateau_outputs(report)
    if selection.latents:
        _latent_outputs(report)
    claims = claims_table(report.analysis, report.steps)
    title = f"{TITLE}, on {report.analysis.subject}"
    report.finish(title, _facts(report), claims, _claims_caption(report))


def _example_figure(report: Report) -> None:
    curves = report.analysis.run.curves
    kinds = tuple(kind for kind in ("real", "random") if kind in curves[KIND].values)
    chosen = curves.sel({KIND: list(kinds), MODE: "absolute"}).load()
    dots = {}
    for readout in ("l2", "kl"):
        wanted = StepTable("", "", readout, "max_slope", kinds, ("absolute",), "", ())
        steps = table_steps(report.analysis, wanted).sel({MODE: "absolute"})
        dots[readout] = steps.where(~steps[CENSORED]).drop_vars(CENSORED)
    drawing = example_curves(chosen, xr.Dataset(dots), _setting(report))
    report.add_figure(EXAMPLE_FIGURE, drawing)


def _step_outputs(report: Report, table: StepTable) -> None:
    steps = table_steps(report.analysis, table)
    report.steps[table.name] = steps
    if report.selection.wants(table.name):
        waits = table.statistic in WAITING
        caption = f"{table.title}. {_table_caption(report, steps, waits=waits)}"
        report.add_table(table.name, step_table(report.analysis, table.name, steps), caption)
    if report.selection.wants(table.figure):
        modes = [mode for mode in table.figure_modes if mode in steps[MODE].values]
        kinds = [kind for kind in table.figure_kinds if kind in steps[KIND].values]
        shown = steps.sel({MODE: modes, KIND: kinds})
        report.add_figure(table.figure, step_distribution(shown, _setting(report)))


def _plateau_outputs(report: Report) -> None:
    analysis = report.analysis
    steps = plateau_steps(analysis, analysis.scales["threshold"])
    report.steps[PLATEAU_OUTPUT] = steps
    caption = (
        "Activation plateau step of L2 around four kinds of base, on absolute paths towards random "
        "targets, by threshold (paper_threshold: in GPT-2's units) and context (foreign, the "
        "paper's: a real base in another prompt; native: in its own). Published values were read "
        "off the paper's figure, which ends at step 40; ours are of all steps. "
        f"{_table_caption(report, steps, waits=True)}"
    )
    report.add_table(PLATEAU_OUTPUT, plateau_table(analysis), caption)
    setting = _setting(report, f"Threshold on L2: {analysis.scales['threshold']:.3g}.")
    foreign = steps.sel({CONTEXT: ["foreign"]})
    foreign.attrs.update(steps.attrs)
    drawing = step_distribution(foreign, setting, up_to=FIGURE_3_UP_TO)
    report.add_figure(PLATEAU_OUTPUT, drawing)


def _latent_outputs(report: Report) -> None:
    analysis = report.analysis
    latents = analysis.run.latents.load()
    if report.selection.wants(LATENT_OUTPUT):
        caption = (
            f"SAE latents of model-generated activations of {analysis.subject} at "
            f"{analysis.settings.site} ({latents.attrs['sae']}). Norms and distances in units of "
            "the residual stream, shares in % of the sum of latent activations. Cosines: mean per "
            "activation, and pooled over all pairs as in the paper. Brackets: 95% bootstrap "
            "intervals of the mean over activations."
        )
        report.add_table(LATENT_OUTPUT, latent_table(analysis), caption)
    counts, cosines = LATENT_FIGURES
    setting = Setting(subject=_subject_text(report))
    if report.selection.wants(counts):
        report.add_figure(counts, latent_counts(latents["l0"], latents["share"], setting))
    if report.selection.wants(cosines):
        report.add_figure(cosines, latent_cosines(latents, setting))


def _setting(report: Report, note: str = "") -> Setting:
    n_steps = 99 if report.analysis.settings.reading == "code" else 100
    return Setting(
        subject=_subject_text(report),
        step_labels={
            mode: f"step ({report.analysis.grid_step:.3g} units each)"
            for mode in ("", "absolute", "foreign", "native")
        }
        | {"relative": f"step (1/{n_steps} of the way each)"},
        notes=" ".join([f"Reading: {report.analysis.settings.reading}.", note]).strip(),
    )


def _subject_text(report: Report) -> str:
    return f"{report.analysis.subject}, moved at {report.analysis.settings.site}"


def _table_caption(report: Report, steps: xr.DataArray, *, waits: bool) -> str:
    n = steps.sizes["sample"]
    settings = report.analysis.settings
    if settings.reading == "code":
        censored = "Censored: curves without a step, which enter with the authors' sentinel."
    elif waits:
        censored = (
            "Censored: curves without a step on the grid, which count as its end: means are "
            "restricted means up to there, and those of other kinds are compared up to there, too."
        )
    else:
        censored = "Censored: curves without a step, which are undefined and left out."
    return (
        f"Unit: steps. n = {n} samples per kind; std is that of the population; KS is against "
        "real. Brackets: 95% intervals over samples, kinds paired (of means: bootstrap; of KS: by "
        "inversion, and [< x] where the KS is no larger than noise makes it and x bounds the "
        f"distance from above). Published: GPT-2 small. {censored} "
        f"Subject: {_subject_text(report)}; reading: {settings.reading}. "
        f"Absolute steps are {report.analysis.grid_step:.4g} long (step size "
        f"{report.analysis.scales['step_size']:.4g}): {report.analysis.scales['origin']}."
    )


def _claims_caption(report: Report) -> str:
    return (
        "The paper's claims on this subject. Each number is positive where the claim holds; it "
        "holds where its whole 95% interval over samples is positive. p: two-sided, of a number of "
        "zero. Published: the same number from the paper's tables (GPT-2 small; of plateaus, from "
        "steps up to 40). "
        f"Subject: {_subject_text(report)}."
    )


def _facts(report: Report) -> dict[str, object]:
    resolved = report.run.config["resolved"]
    settings = report.analysis.settings
    return {
        "subject": f"{report.analysis.subject} (weights {short(resolved['subject_identity'])})",
        "coordinates": resolved["coordinates"],
        "SAE": f"{resolved['sae_identity']['source']} ({short(resolved['sae_identity'])})",
        "SAE fit": fit_text(report.run),
        "firing rates": resolved["firing_rates"],
        **prompt_facts(resolved),
        "samples": settings.samples,
        "moments from": f"{resolved['moments_from']} activations",
        "reading": settings.reading,
        "seed": settings.seed,
        "moved at": resolved["site"],
        "L2 and cosine read at": resolved["read"],
        "step and threshold": f"{report.analysis.scales['step_size']:.4g} and "
        f"{report.analysis.scales['threshold']:.4g}: {report.analysis.scales['origin']}",
    }
