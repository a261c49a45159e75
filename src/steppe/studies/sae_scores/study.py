"""Which SAE of a release, and which latent of one, does most to the model?

A study of steppe's own: what SAEs are scored by elsewhere (explained variance, loss recovered)
beside what the model does with an SAE's errors and with its decoder rows.
"""

from __future__ import annotations

from collections.abc import Iterable

import pandas as pd

from steppe.reports import Band, Drawing, Panel, Setting, draw_bands, shades
from steppe.studies.lee2024.analysis import DIRECTIONS, FAMILY_SHORT, SUBSTITUTIONS
from steppe.studies.lee2024.figures import FAMILY_STYLES
from steppe.studies.sae_scores import measuring as m
from steppe.studies.sae_scores.analysis import Scored
from steppe.studies.sae_scores.latent_report import draw_latents, first_latents, latents_caption
from steppe.studies.sae_scores.latents import LATENTS, lay_out_latents, measure_latents
from steppe.studies.sae_scores.records import saebench
from steppe.studies.sae_scores.scores import SCORES
from steppe.studies.sae_scores.settings import Settings
from steppe.study import Figure, FunctionPart, Part, Record, Study, Table, WholePart

POOL = frozenset({"pool", "sae"})
ALL = frozenset({"pool", "moments", "sae"})
MEASURED = (DIRECTIONS, SUBSTITUTIONS, "fit", "crossings", "structured", "contours")
LOSS = "loss_recovered"
SHOWN = ("error_kl", "active_kl", "active_area", "structured_ks", "top_p", LOSS)
WAYS = {1: "higher", -1: "lower"}
OVER = (
    "Brackets: 95% intervals over prompts (of exponents: over pairs of latents); they say nothing "
    "of other SAEs."
)


def parts(_settings: Settings) -> list[Part]:
    """What is measured sample by sample."""
    return [
        FunctionPart(DIRECTIONS, m.lay_out_directions, m.measure_directions, ALL),
        FunctionPart(SUBSTITUTIONS, m.lay_out_substitutions, m.measure_substitutions, ALL),
        FunctionPart("fit", m.lay_out_fit, m.measure_fit, POOL),
        FunctionPart("crossings", m.lay_out_crossings, m.measure_crossings, ALL),
        FunctionPart("structured", m.lay_out_structured, m.measure_structured, POOL),
        FunctionPart(LATENTS, lay_out_latents, measure_latents, POOL),
    ]


def shown(run: Scored, *names: str) -> pd.DataFrame:
    """Some columns of the scores, with the ends of their intervals."""
    ends = [c for name in names for c in (name, f"{name}_low", f"{name}_high") if c in run.table]
    return run.table[ends]


def ranking(run: Scored) -> pd.DataFrame:
    """The release, best first: ranks, and what an SAE is scored by."""
    return shown(run, "rank", "sae", "site", "family", "l0", "front", "error_kl", "active_area",
                 "structured_ks", "top_p", "explained_variance", "loss_recovered")  # fmt: skip


def rows(run: Scored) -> pd.DataFrame:
    """What the model does along decoder rows."""
    return shown(run, "sae", "l0", "active_kl", "active_against_kl", "alive_kl",
                 "alive_against_kl", "active_area", "alive_area")  # fmt: skip


def _places(table: pd.DataFrame) -> str:
    return ", ".join(dict.fromkeys(table["site"]))


def said(run: Scored, text: str) -> str:
    """A caption: what is shown, of how many, and which model was moved where."""
    sizes = {name: run.datasets[name].sizes["sample"] for name in (DIRECTIONS, "fit")}
    counted = (
        f"n = {sizes[DIRECTIONS]} sequences of {run.settings.prompt_length} tokens for KL and loss "
        f"(all positions moved), {sizes['fit']} prompts otherwise (the last moved)."
    )
    setting = Setting(model=f"{run.model}, moved at {_places(run.table)}", notes=run.scaled)
    return setting.caption(text, counted, OVER)


def ranking_caption(run: Scored) -> str:
    """What is said under the ranking."""
    by = SCORES[run.settings.rank_by]
    return said(
        run,
        f"SAEs by {by.label}, best first. Rank: in brackets what intervals leave open (an SAE "
        "counts as before another where they do not overlap). Front: no other SAE of the site is "
        "sparser and better. active_area: ROC area of the rows of latents active at the token "
        f"against cov-random mixtures, by where KL reaches {run.settings.level:g} nats (0.5: no "
        "difference). error_kl: KL of reconstructions over that of mixtures as far away. "
        "structured_ks: KS distance to real of the max-slope step of L2 on absolute paths, "
        "synthetic-structured. top_p: mean exponent of contours in planes of pairs of the "
        f"{2 * run.settings.pairs} most active latents (2: no direction is privileged; "
        f"{run.datasets['contours'].attrs['anchors']} anchors). loss_recovered: 1 at the clean "
        "loss, 0 at zero activations.",
    )


def rows_caption(run: Scored) -> str:
    """What is said under the table of decoder rows."""
    lengths = ", ".join(f"{x:.3g}" for x in run.lengths[1:])
    return said(
        run,
        f"Decoder rows against cov-random mixtures. _kl: KL over that along mixtures, geometric "
        f"mean over lengths {lengths}; rows of latents active at the token, or alive but not "
        "active in the prompt, and against them. _area: ROC area by crossing length.",
    )


def _panel(run: Scored, name: str, x: str, x_label: str) -> Panel:
    """One score: a shade per site, a colour and marker per family, and each site's Pareto front."""
    score, logs = SCORES[name], "x" if x == "l0" else ""
    ends, label, better = [f"{name}_low", name, f"{name}_high"], score.label, score.better
    table = beside_each_other(run.table, x)
    if name == LOSS:
        # What is left to recover is a small share.
        table = table.assign(**{one: 1 - table[one] for one in ends})
        ends, label, better, logs = ends[::-1], "loss not recovered", -1, f"{logs}y"
    sites = list(table.sort_values("depth")["site"].unique())
    bands, fronts = [], []
    for place, site in enumerate(sites):
        here = table[table["site"] == site]
        for family, mine in here.groupby("family", sort=False):
            color, marker, _ = FAMILY_STYLES[str(family)]
            named = f"{site}, {FAMILY_SHORT[str(family)]}"
            low, y, high = (mine[one] for one in ends)
            shade = shades(color, len(sites))[place]
            bands.append(Band(named, mine["x"], y, shade, low, high, "none", marker))
        best = better * here[name]
        front = here[best.cummax() == best]
        fronts.append(Band("Pareto front", front["x"], front[name], "0.6", dash="dotted"))
    shown = [*bands, *(fronts if x == "l0" else [])]
    title = f"{WAYS[better]} is better"
    return Panel(title, shown, x_label, label, logs, ticks=_ticks(table[x]))  # type: ignore[arg-type]


def beside_each_other(table: pd.DataFrame, x: str) -> pd.DataFrame:
    """The table by L0, with ``x`` where its marks do not hide each other."""
    table = table.sort_values("l0")
    if x == "l0":
        return table.assign(x=table["l0"] * [FAMILY_STYLES[str(f)][2] for f in table["family"]])
    counts = table.groupby(x)["l0"].transform("count")
    order = table.groupby(x).cumcount()
    return table.assign(x=table[x] + 0.6 * ((order + 0.5) / counts - 0.5))


def _ticks(values: pd.Series) -> list[float]:
    """Rounded values, without those that would be written over each other."""
    found: list[float] = []
    for value in sorted({float(round(one)) for one in values}):
        if not found or value > 1.3 * found[-1]:
            found.append(value)
    return found


def draw_pareto(run: Scored) -> Drawing:
    """Every score against sparsity."""
    panels = [_panel(run, name, "l0", "L0") for name in SHOWN]
    text = "Scores of SAEs against their L0. Dotted: SAEs than which no sparser one of the site is "
    return draw_bands(panels, said(run, f"{text}better."), columns=3)


def draw_layers(run: Scored) -> Iterable[tuple[str, Drawing]]:
    """Every score against depth, where there are SAEs at several sites."""
    if run.table["depth"].nunique() > 1:
        panels = [_panel(run, name, "depth", "blocks before the site") for name in SHOWN]
        text = "Scores of SAEs by where they are."
        yield "", draw_bands(panels, said(run, text), columns=3)


STUDY = Study(
    name="sae_scores",
    question="Which SAE of a release, and which latent of one, does most to the model?",
    settings=Settings,
    prepare=m.prepare,
    parts=parts,
    wholes=lambda _settings: [WholePart("contours", m.measure_contours, POOL)],
    analysis=Scored,
    tables=[
        Table("ranking", ranking_caption, ranking, MEASURED),
        Table("rows", rows_caption, rows, MEASURED),
        Table("first_latents", latents_caption, first_latents, (LATENTS,)),
        Table("latents", "", lambda run: run.latents, (LATENTS,), is_data=True),
    ],
    figures=[
        Figure("pareto", draw_pareto, MEASURED),
        Figure("layers", draw_layers, MEASURED),
        Figure("latents", draw_latents, (LATENTS, "crossings")),
    ],
    records=[Record("saebench", saebench, (*MEASURED, LATENTS))],
)
