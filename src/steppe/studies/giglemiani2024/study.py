"""The study of Giglemiani et al. 2024 as one object."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import xarray as xr

from steppe.core.axes import CONTEXT, KIND, MODE
from steppe.core.lazy import later
from steppe.reports import (
    Drawing,
    Setting,
    along,
    example_curves,
    latent_cosines,
    latent_counts,
    n_of,
    step_distribution,
)
from steppe.store import CURVES, LATENTS, PLATEAUS
from steppe.studies.giglemiani2024.claims import CLAIMS
from steppe.studies.giglemiani2024.outputs import (
    ABSOLUTE,
    EXAMPLE_FIGURE,
    EXAMPLES,
    FOREIGN,
    LATENT_COSINES,
    LATENT_COUNTS,
    LATENT_OUTPUT,
    LEVEL_OUTPUT,
    NATIVE,
    PLATEAU_OUTPUT,
    RELATIVE,
    STEP_TABLES,
    StepTable,
)
from steppe.studies.giglemiani2024.settings import Settings
from steppe.studies.giglemiani2024.steps import (
    CENSORED,
    WAITING,
    latent_table,
    levels_of,
    plateau_steps,
    plateau_table,
    step_table,
    table_steps,
    those_of,
)
from steppe.study import Analysis, Figure, Need, Study, Table

# The paper's Figure 3 leaves out steps above 40.
FIGURE_3_UP_TO = 40.0
READ_OFF = ("l2", "kl")


def model_of(analysis: Analysis) -> str:
    """The model, and where it is moved."""
    return f"{analysis.model}, moved at {analysis.settings.site}"


def grid_step(analysis: Analysis) -> float:
    """Length of one step of an absolute path as it was measured."""
    size = float(analysis.constants["step_size"])
    return size * 100 / 99 if analysis.settings.reading == "code" else size


def setting_of(analysis: Analysis, note: str = "") -> Setting:
    """What figures say of the run and of a step."""
    reading = analysis.settings.reading
    length = f"step ({grid_step(analysis):.3g} units each)"
    return Setting(
        model=model_of(analysis),
        step_labels=dict.fromkeys(("", ABSOLUTE, FOREIGN, NATIVE), length)
        | {RELATIVE: f"step (1/{99 if reading == 'code' else 100} of the way each)"},
        notes=" ".join([f"Reading: {reading}.", note]).strip(),
    )


def caption(analysis: Analysis, what: str, statistic: str, steps: xr.DataArray) -> str:
    """What is written under a table of steps."""
    settings, scales = analysis.settings, analysis.constants["scales"]
    if settings.reading == "code":
        censored = "Censored: curves without a step, which enter with the authors' sentinel."
    elif statistic in WAITING:
        censored = (
            "Censored: curves without a step on the grid, which count as its end: means are "
            "restricted means up to there, and those of other kinds are compared up to there, too."
        )
    else:
        censored = "Censored: curves without a step, which are undefined and left out."
    return (
        f"{what}. Unit: steps. n = {steps.sizes['sample']} samples per kind; std is that of the "
        "population; KS is against real. Brackets: 95% intervals over samples, kinds paired (of "
        "means: bootstrap; of KS: by inversion, and [< x] where the KS is no larger than noise "
        "makes it and x bounds the distance from above). Published: GPT-2 small. "
        f"{censored} Model: {model_of(analysis)}; reading: {settings.reading}. "
        f"Absolute steps are {grid_step(analysis):.4g} long (step size {scales['step_size']:.4g}): "
        f"{scales['origin']}."
    )


def draw_examples(analysis: Analysis) -> Drawing:
    """Some single curves, with their steps of largest slope."""
    curves = analysis.datasets[CURVES]
    kinds = those_of(curves, EXAMPLES)
    dots = {}
    for metric in READ_OFF:
        wanted = StepTable("", "", metric, "max_slope", EXAMPLES, (ABSOLUTE,), "", ())
        steps = table_steps(analysis, wanted).sel({MODE: ABSOLUTE})
        dots[metric] = steps.where(~steps[CENSORED]).drop_vars(CENSORED)
    chosen = curves.sel({KIND: kinds, MODE: ABSOLUTE}).load()
    return example_curves(chosen, xr.Dataset(dots), setting_of(analysis))


def draw_steps(analysis: Analysis, table: StepTable) -> Drawing:
    """How the steps of a table are distributed."""
    steps = analysis[table.name]
    modes = [mode for mode in table.figure_modes if mode in steps[MODE].values]
    shown = steps.sel({MODE: modes, KIND: those_of(steps, table.figure_kinds)})
    return step_distribution(shown, setting_of(analysis))


def draw_plateaus(analysis: Analysis) -> Drawing:
    """How the plateau steps are distributed in the foreign context, as the paper shows them."""
    steps = analysis[PLATEAU_OUTPUT]
    foreign = steps.sel({CONTEXT: [FOREIGN]})
    foreign.attrs.update(steps.attrs)
    note = f"Threshold on L2: {analysis.constants['threshold']:.3g}."
    return step_distribution(foreign, setting_of(analysis, note), up_to=FIGURE_3_UP_TO)


def draw_thresholds(analysis: Analysis) -> Drawing | tuple[()]:
    """How far plateaus of other kinds are from those of real bases, along the threshold."""
    table = plateau_table(analysis, levels_of(analysis.constants)).rename(columns=ALONG)
    table = table[table[KIND] != "real"]
    if not len(table):
        return ()
    level, distance, *_ = ALONG.values()
    drawing = along(table, level, [distance], KIND, CONTEXT)
    n, never = n_of(int(count) for count in table["n"]), table["censored_share"].max()
    text = THRESHOLDS_WHAT.format(n, f"{never:.1%}")
    return replace(drawing, caption=setting_of(analysis).caption(text))


def tables_of(table: StepTable) -> Table:
    """A table of steps."""
    return Table(
        table.name,
        lambda run: caption(run, table.title, table.statistic, run[table.name]),
        lambda run: step_table(run, table.name, run[table.name]),
        (Need(CURVES, {KIND: table.kinds, MODE: table.modes}, (table.metric,)),),
    )


def figure_of(table: StepTable) -> Figure:
    """Its figure."""
    labels = {KIND: table.figure_kinds, MODE: table.figure_modes}
    return Figure(
        table.figure, partial(draw_steps, table=table), (Need(CURVES, labels, (table.metric,)),)
    )


def facts(analysis: Analysis) -> dict[str, object]:
    """What the summary says beside the common facts."""
    scales = analysis.constants["scales"]
    return {
        "reading": analysis.settings.reading,
        "step and threshold": f"{scales['step_size']:.4g} and {scales['threshold']:.4g}: "
        f"{scales['origin']}",
    }


PLATEAUS_WHAT = (
    "Activation plateau step of L2 around four kinds of base, on absolute paths towards random "
    "targets, by threshold (paper_threshold: in GPT-2's units) and context (foreign, the paper's: "
    "a real base in another prompt; native: in its own). Published values were read off the "
    "paper's figure, which ends at step 40; ours are of all steps"
)
# The columns of thresholds and distances by what their axes are called.
ALONG = {"paper_threshold": "threshold on L2 (GPT-2's units)", "ks": "KS to real"}
ALONG |= {f"ks_{end}": f"{ALONG['ks']}_{end}" for end in ("low", "high")}
THRESHOLDS_WHAT = (
    "How far the lengths of plateaus around other kinds of base are from those around real ones, "
    "by the threshold on L2 (in GPT-2's units, scaled to the model) at which a plateau ends, on "
    "absolute paths towards random targets. Foreign, the paper's: a real base in another prompt; "
    "native: in its own. {}. Bars: 95% intervals over samples, by inversion; one that begins at "
    "zero bounds a distance that is no larger than noise makes it. Curves that never cross: at "
    "most {} of a kind."
)
LATENTS_WHAT = (
    "SAE latents of model-generated activations. Norms and distances in units of the residual "
    "stream, shares in % of the sum of latent activations. Cosines: mean per activation, and "
    "pooled over all pairs as in the paper. Brackets: 95% bootstrap intervals of the mean over "
    "activations. Model: {}; SAE: {}."
)
CLAIMS_CAPTION = (
    "The paper's claims on this model. Each number is positive where the claim holds; it holds "
    "where its whole 95% interval over samples is positive. p: two-sided, of a number of zero. "
    "Published: the same number from the paper's tables (GPT-2 small; of plateaus, from steps up "
    "to 40). Model: {}."
)
_PLATEAU_NEED, _LATENT_NEED = Need(PLATEAUS, metrics=("l2",)), Need(LATENTS)
STUDY = Study(
    name="giglemiani2024",
    paper="Evaluating Synthetic Activations composed of SAE Latents in GPT-2 "
    "(Giglemiani, Petrova, Mangat, Janiak & Heimersheim, 2024; arXiv 2409.15019)",
    question="Do activations composed of SAE latents behave like the model's own?",
    settings=Settings,
    prepare=later("steppe.studies.giglemiani2024.scales:prepare"),
    parts=later("steppe.studies.giglemiani2024.measuring:parts"),
    wholes=later("steppe.studies.giglemiani2024.measuring:wholes"),
    derived={
        **{table.name: partial(table_steps, table=table) for table in STEP_TABLES},
        PLATEAU_OUTPUT: plateau_steps,
    },
    tables=[
        *map(tables_of, STEP_TABLES),
        Table(
            PLATEAU_OUTPUT,
            lambda run: caption(run, PLATEAUS_WHAT, "plateau", run[PLATEAU_OUTPUT]),
            lambda run: plateau_table(run, run.constants["scales"]["sweep"]),
            (_PLATEAU_NEED,),
        ),
        Table(
            LEVEL_OUTPUT,
            "",
            lambda run: plateau_table(run, levels_of(run.constants)),
            (_PLATEAU_NEED,),
            is_data=True,
        ),
        Table(
            LATENT_OUTPUT,
            lambda run: LATENTS_WHAT.format(model_of(run), run.datasets[LATENTS].attrs["sae"]),
            latent_table,
            (_LATENT_NEED,),
        ),
    ],
    figures=[
        Figure(
            EXAMPLE_FIGURE,
            draw_examples,
            (Need(CURVES, {KIND: EXAMPLES, MODE: (ABSOLUTE,)}, READ_OFF),),
        ),
        *map(figure_of, STEP_TABLES),
        Figure(PLATEAU_OUTPUT, draw_plateaus, (_PLATEAU_NEED,)),
        Figure(LEVEL_OUTPUT, draw_thresholds, (_PLATEAU_NEED,)),
        Figure(
            LATENT_COUNTS,
            lambda run: latent_counts(
                run[f"{LATENTS}/l0"], run[f"{LATENTS}/share"], Setting(model=model_of(run))
            ),
            (_LATENT_NEED,),
        ),
        Figure(
            LATENT_COSINES,
            lambda run: latent_cosines(run.datasets[LATENTS].load(), Setting(model=model_of(run))),
            (_LATENT_NEED,),
        ),
    ],
    claims=CLAIMS,
    claims_caption=lambda run: CLAIMS_CAPTION.format(model_of(run)),
    facts=facts,
)
