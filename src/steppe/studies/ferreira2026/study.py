"""Privileged directions: are mixtures of two features tolerated longer than either alone?

Ferreira da Silva and Heimersheim 2026 (arXiv 2606.24964). The last activation of short prompts is
turned along two directions at its own norm, and the contour of equal response in their plane is
fitted by a superellipse: p = 2 where no direction is privileged, larger where both are.
"""

from __future__ import annotations

from importlib import resources

import numpy as np
import pandas as pd

from steppe.core.axes import FACTOR, FAMILY, PAIR, ROW
from steppe.reports import (
    Drawing,
    Plane,
    Setting,
    beeswarm,
    combination_sweep,
    exponents_along,
    fitted_boundaries,
)
from steppe.studies.ferreira2026.analysis import fits, median_grids, table, threshold_of
from steppe.studies.ferreira2026.claims import claims_of
from steppe.studies.ferreira2026.families import CONTRASTIVE, TURNED, prompts_of, turned
from steppe.studies.ferreira2026.measuring import lay_out_grids, measure_grids, search_contours
from steppe.studies.ferreira2026.settings import Settings
from steppe.study import Analysis, Figure, FunctionPart, Part, Study, Table, WholePart

NEEDS, SAE = frozenset({"pool", "sae"}), "the family sae_top"
OVER = "Intervals (95%) are over pairs of directions, at these anchors."


def parts(settings: Settings) -> list[Part]:
    """The grids of the reading ``code``."""
    if settings.reading != "code":
        return []
    needs = NEEDS | settings.direction_needs
    return [FunctionPart("grids", lay_out_grids, measure_grids, needs, SAE)]


def wholes(settings: Settings) -> list[WholePart]:
    """The contours of the reading ``searched``."""
    needs = NEEDS | settings.direction_needs
    return (
        [] if settings.reading == "code" else [WholePart("searched", search_contours, needs, SAE)]
    )


def plain(analysis: Analysis) -> list[str]:
    """The families that are not turned away."""
    aside = [turned(angle) for angle in TURNED]
    return [str(one) for one in analysis["fits"][FAMILY].values if one not in aside]


def _planes(analysis: Analysis) -> list[Plane]:
    """The pair of each family whose exponent is nearest to the family's median."""
    found = []
    for family in plain(analysis):
        fit = analysis["fits"].sel({FAMILY: family, FACTOR: 1.0})
        p = fit.sel(fit="p").values
        if np.isnan(p).all():
            continue
        pair = int(np.nanargmin(np.abs(p - np.nanmedian(p))))
        median = analysis["median"].sel({FAMILY: family}).isel({PAIR: pair})
        _, first, second, _, _ = map(float, fit.isel({PAIR: pair}).values)
        values = median.values.astype(np.float64)
        found.append(
            Plane(
                family, median[ROW].values, values, threshold_of(values), float(p[pair]),
                (first, second),
            )
        )  # fmt: skip
    return found


_SHOWN = "Of each family the pair whose exponent is nearest to the median one."


def draw_sweep(analysis: Analysis) -> Drawing:
    """Responses along either direction, and both."""
    what = (
        f"Median response over {analysis.settings.samples} anchors, turned along one direction, "
        f"the other, and both at once, by the whole angle. {_SHOWN} Grey: the threshold, half of "
        "what the weaker direction reaches."
    )
    return combination_sweep(_planes(analysis), what, Setting(model=analysis.model))


def draw_boundaries(analysis: Analysis) -> Drawing:
    """Contours with their superellipses."""
    what = (
        "Contours of the median response, the superellipse that is fitted, and the ellipse with "
        f"the same intercepts. {_SHOWN} Blue: response."
    )
    return fitted_boundaries(_planes(analysis), what, Setting(model=analysis.model))


def draw_exponents(analysis: Analysis) -> Drawing:
    """Exponents by family."""
    rows = table(analysis)
    rows = rows[rows["threshold_times"] == 1].set_index(FAMILY)
    found, names = analysis["fits"].sel({FACTOR: 1.0, "fit": "p"}), plain(analysis)
    return beeswarm(
        {name: found.sel({FAMILY: name}).values for name in names},
        {name: rows.loc[name, ["p", "p_low", "p_high"]].tolist() for name in names},
        "exponent p",
        f"Exponents of pairs of directions by family, n = {analysis.settings.pairs} each; 2 is an "
        f"ellipse. {OVER}",
        Setting(model=analysis.model),
    )


def draw_residuals(analysis: Analysis) -> Drawing:
    """How well superellipses fit."""
    found = analysis["fits"].sel({FACTOR: 1.0, "fit": "misfit"})
    return beeswarm(
        {name: found.sel({FAMILY: name}).values for name in plain(analysis)},
        {},
        "mean distance of the radius from 1",
        "How far contours lie from the superellipse that is fitted to them, in parts of its "
        "radius, by pair of directions.",
        Setting(model=analysis.model),
    )


def draw_misalignment(analysis: Analysis) -> Drawing:
    """Exponents against the angle that directions are turned by."""
    rows = table(analysis)
    rows = rows[rows["threshold_times"] == 1].set_index(FAMILY)
    names = {0: CONTRASTIVE, **{angle: turned(angle) for angle in TURNED}}
    line = [[angle, *rows.loc[name, ["p", "p_low", "p_high"]]] for angle, name in names.items()]
    return exponents_along(
        {CONTRASTIVE: np.array(line, np.float64)},
        "turned away by (degrees)",
        "Mean exponent of contrastive directions that are turned towards random ones, each at "
        f"right angles to its own. {OVER}",
        Setting(model=analysis.model),
    )


def draw_thresholds(analysis: Analysis) -> Drawing:
    """Exponents against the threshold."""
    rows = table(analysis)
    columns = ["threshold_times", "p", "p_low", "p_high"]
    return exponents_along(
        {
            name: rows.loc[rows[FAMILY] == name, columns].to_numpy(np.float64)
            for name in plain(analysis)
        },
        "threshold, times half of what the weaker direction reaches",
        f"Mean exponents at other thresholds. {OVER}",
        Setting(model=analysis.model),
    )


def exponents_table(analysis: Analysis) -> pd.DataFrame:
    """Ours, beside those of gemma-2-9b, as a third party quotes them, at the paper's threshold."""
    here = resources.files("steppe.studies.ferreira2026") / "published.csv"
    with resources.as_file(here) as path:
        theirs = pd.read_csv(path, index_col=FAMILY).add_prefix("published_").reset_index()
    theirs["threshold_times"] = 1.0
    return table(analysis).merge(theirs, how="left", on=[FAMILY, "threshold_times"])


STUDY = Study(
    name="ferreira2026",
    paper="Evidence for feature-specific error correction in LLMs (Ferreira da Silva & Heimersheim "
    "2026)",
    question="Are feature directions privileged: are mixtures of two tolerated longer?",
    settings=Settings,
    parts=parts,
    wholes=wholes,
    prepare=prompts_of,
    derived={"median": median_grids, "fits": fits},
    tables=[
        Table(
            "exponents",
            f"Exponents of contours by family and threshold. {OVER} Published: gemma-2-9b, "
            "intervals over anchors from the 5th to the 95th percentile.",
            exponents_table,
            ("fits",),
        ),
    ],
    figures=[
        Figure("combination_sweep", draw_sweep, ("grids",)),
        Figure("fitted_boundary", draw_boundaries, ("grids",)),
        Figure("exponents", draw_exponents, ("fits",)),
        Figure("misalignment", draw_misalignment, ("fits",)),
        Figure("residuals", draw_residuals, ("fits",)),
        Figure("thresholds", draw_thresholds, ("grids",)),
    ],
    claims=claims_of,
    claims_caption="Each claim is decided by one number, positive where it holds, with a 95% "
    "interval over pairs of directions, at these anchors. It holds where the whole interval is "
    "positive.",
)
