"""From a measured run to its tables, figures, claims and summary. Needs no model."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from steppe.core.axes import SAMPLE
from steppe.recipes import reporting
from steppe.recipes.heimersheim2024 import pictures, tables
from steppe.recipes.heimersheim2024.analysis import Analysis
from steppe.recipes.heimersheim2024.claims import claims_table
from steppe.recipes.heimersheim2024.outputs import (
    ARTIFICIAL,
    ASCENT,
    CONTROLS,
    DIRECTIONS,
    ENCODING,
    FEATURES,
    OPTIMA,
    PLATEAUS,
)
from steppe.recipes.prompt_facts import prompt_facts
from steppe.recipes.reporting import fit_text, short
from steppe.store import open_run

TITLE = "Activation plateaus and sensitive directions (Heimersheim & Mendel 2024)"


@dataclass(frozen=True)
class TableOutput:
    """A table of one part.

    Attributes:
        name: File name.
        part: The part it is made from.
        make: Makes it.
        caption: What it shows, without n, intervals and subject.
        over: What its n counts, and its intervals are over.
    """

    name: str
    part: str
    make: Callable[[Analysis], pd.DataFrame]
    caption: str
    over: str = "base prompts"


_POSITION = (
    "Crossings are angles in degrees (sphere mode) or lengths in units of the base's norm "
    "(straight mode); never: paths on which KL stays below the level, which medians count as later "
    "than any."
)
TABLES = (
    TableOutput(
        "plateaus",
        PLATEAUS,
        tables.plateau_table,
        "Part 1. How far from real and random bases the output stays: median crossing of KL, where "
        "KL leaves the flat level, crossing along displacements shared by all bases, and mean KL "
        "(nats), L2 (activation units) and L2 after the final normalisation up to 90 degrees or "
        "the base's norm. " + _POSITION,
    ),
    TableOutput(
        "directions",
        DIRECTIONS,
        tables.direction_table,
        "Part 2. How soon directions change the output: median crossing of KL, for straight paths "
        "also as a length in activation units; the share of pairs in which the real-other "
        "direction crosses earlier (the area under the ROC curve), of base prompts whose median "
        "does, and the overlap of both distributions (1 minus KS). " + _POSITION,
    ),
    TableOutput(
        "optima",
        OPTIMA,
        tables.optimum_table,
        "Part 4. In which share of random 2-D families of directions a corner crosses before all "
        "of its neighbours: inward ones, mixed with the other two corners, or all around it "
        "(ring); median crossing angle of the corner in degrees.",
    ),
    TableOutput(
        "ascent",
        ASCENT,
        tables.ascent_table,
        "Part 4. Directions before and after climbing the sensitivity: median crossing angle in "
        "degrees, mean largest cosine to the way to a real activation, mean largest absolute "
        "cosine to an SAE decoder row, mean cosine to the base's other directions, share whose "
        "nearest latent is active at the base, and mean angle turned in degrees.",
    ),
    TableOutput(
        "features",
        FEATURES,
        tables.feature_table,
        "Part 5. How soon SAE decoder rows change the output, along and against, of latents active "
        "at the base, of silent ones, and of any, beside the directions of part 2; shares of pairs "
        "in which they cross earlier than towards random and towards real activations. "
        + _POSITION,
    ),
    TableOutput(
        "artificial",
        ARTIFICIAL,
        tables.artificial_table,
        "Part 5. How far the output stays around artificial bases: real ones with latents added or "
        "removed, or moved as far as added latents move them in a random direction; mean distance "
        "from the real base in activation units. " + _POSITION,
    ),
    TableOutput(
        "controls",
        CONTROLS,
        tables.control_table,
        "Part 6. Both effects in the controls: share of pairs in which the real-other direction "
        "crosses before the random one, and the random base is left before the real one (0.5: no "
        "difference), by the crossing of KL and by where L2 after the final normalisation reaches "
        "half of its largest value. Median crossing, and where KL leaves the flat level, are those "
        "of real bases in random directions. " + _POSITION,
    ),
    TableOutput(
        "encoding",
        ENCODING,
        tables.encoding_table,
        "Part 6. Active latents of real activations, of random ones with their mean and "
        "covariance, and of isotropic vectors as long as real ones, and all latents of the SAE "
        "(dictionary); beside the report's footnote on GPT-2.",
        over="vectors of each kind",
    ),
)


@dataclass(kw_only=True)
class Report(reporting.Report):
    """What has been written so far.

    Attributes:
        analysis: The run and its settings.
    """

    analysis: Analysis


def report_outcome(path: Path) -> None:
    """Write every table and figure of the parts that were measured, the claims and the summary."""
    run = open_run(path)
    analysis = Analysis.of(run)
    report = Report(run=run, analysis=analysis)
    for output in TABLES:
        if analysis.has(output.part):
            n = f"{analysis.parts[output.part].sizes[SAMPLE]} {output.over}"
            caption = _caption(analysis, output.caption, n)
            report.add_table(output.name, output.make(analysis), caption)
    searches = tables.search_table(analysis)
    if len(searches):
        report.add_table("search", searches, _caption(analysis, _SEARCH))
    for name, part, draw in pictures.FIGURES:
        if analysis.has(part):
            for suffix, drawing in draw(analysis):
                report.add_figure(f"{name}{suffix}", drawing)
    claims = claims_table(analysis)
    title = f"{TITLE}, on {analysis.subject}"
    report.finish(title, _facts(analysis), claims, _caption(analysis, _CLAIMS))


_SEARCH = (
    "How crossings were found: points computed by bisection, and by a scan of every grid point "
    "where a curve does not rise steadily, against scans of all. Compared: paths that were also "
    "measured whole; differ: searches that found another crossing (by more than a hundredth of a "
    "grid step); largest gap of the others in grid steps."
)
_CLAIMS = (
    "The report's claims (HM) and its predictions with our checks (HP) on this subject. Each "
    "number is positive where the claim holds; it holds where its whole 95% interval (over base "
    "prompts, of HM7 and HM8 over vectors) is positive."
)


def _caption(analysis: Analysis, text: str, n: str = "") -> str:
    settings = analysis.settings
    counted = f" n = {n}; brackets: 95% intervals over them." if n else ""
    return (
        f"{text} KL is crossed at {settings.level:g} nats, flat below {settings.flat_level:g}."
        f"{counted} Subject: {analysis.text}."
    )


def _facts(analysis: Analysis) -> dict[str, object]:
    resolved: dict[str, Any] = dict(analysis.run.config["resolved"])
    settings = analysis.settings
    return {
        "subject": f"{analysis.subject} (weights {short(resolved['subject_identity'])})",
        "coordinates": resolved["coordinates"],
        "SAE": f"{resolved['sae_identity']['source']} ({short(resolved['sae_identity'])})",
        "SAE fit": fit_text(analysis.run),
        **prompt_facts(resolved),
        "samples": settings.samples,
        "directions of each kind per base": settings.draws,
        "moments from": f"{resolved['moments_from']} activations",
        "seed": settings.seed,
        "moved at": resolved["site"],
        "L2 and cosine read at": f"{resolved['read']}, and L2 after the final normalisation",
        "KL level": f"{settings.level:g} nats; flat below {settings.flat_level:g} nats",
        "points of a path": settings.n_points,
    }
