"""What has to be kept of a real activation for its plateau to appear?

Asked for in the reviews of Giglemiani et al. 2024 and by its limitations. Every kind is made of the
SAE's latents of one and the same real activation, another prompt's, and keeps some of what it is.
It is placed at the end of the base's prompt and moved away (plateaus), and the base is moved
towards it (sensitivity); paths, constants and statistics are giglemiani2024's.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr
from numpy.typing import NDArray

from steppe.activations import KINDS as KNOWN
from steppe.comparisons import ks_interval, ks_statistic
from steppe.core.axes import CONTEXT, KIND, MODE, SAMPLE
from steppe.reports import Drawing, Row, RowPanel, Setting, draw_rows
from steppe.store import CURVES, PLATEAUS
from steppe.studies.compositions.claims import BAG, CLAIMS, REAL
from steppe.studies.compositions.settings import Settings
from steppe.studies.giglemiani2024 import measuring
from steppe.studies.giglemiani2024.outputs import ABSOLUTE, FOREIGN, StepTable
from steppe.studies.giglemiani2024.scales import prepare
from steppe.studies.giglemiani2024.steps import plateau_steps, table_steps
from steppe.studies.giglemiani2024.study import model_of
from steppe.study import Analysis, CurvePart, Figure, Need, Study, Table, positive
from steppe.study.verdicts import Decision

Floats = NDArray[np.float64]
UNKNOWN = Decision(*[math.nan] * 4)
# Further kinds that were measured are taken as well.
_PLAIN = ("real", "sae_reconstruction", "random")
_SLOPE = StepTable("sensitivity", "", "l2", "max_slope", _PLAIN, (ABSOLUTE,), "", ())


def parts(settings: Settings) -> list[CurvePart]:
    """The two experiments of giglemiani2024, of these kinds and L2 alone."""
    curves, plateaus = measuring.parts(settings)  # type: ignore[arg-type]
    return [
        replace(curves, paths=(ABSOLUTE,), metrics=("l2",)),
        replace(plateaus, kinds=settings.kinds, metrics=("l2",)),
    ]


def plateaus(analysis: Analysis) -> xr.DataArray:
    """The plateau step around each kind, in the base's prompt: kind, sample."""
    steps = plateau_steps(analysis).sel({CONTEXT: FOREIGN}, drop=True)
    return steps.transpose(KIND, SAMPLE)


def slopes(analysis: Analysis) -> xr.DataArray:
    """The step of largest slope on the way to each kind: kind, sample."""
    steps = table_steps(analysis, _SLOPE).sel({MODE: ABSOLUTE}, drop=True)
    return steps.transpose(KIND, SAMPLE)


def recovered(kind: Floats, bag: Floats, real: Floats) -> float:
    """The part of the mean gap between bag and real activations that a kind makes up."""
    return float(np.mean(kind - bag) / np.mean(real - bag))


def answer_table(analysis: Analysis) -> pd.DataFrame:
    """One row per kind: its plateau, what of the gap it recovers, KS to real of both steps."""
    found, towards = analysis["plateau_steps"], analysis["slope_steps"]
    real, bag = (found.sel({KIND: kind}).values for kind in (REAL, BAG))
    # A part of a gap that may be none is not known.
    has_gap = positive(lambda more, less: float(np.mean(more - less)), real, bag).low > 0
    rows = []
    for kind in map(str, found[KIND].values):
        here = found.sel({KIND: kind}).values
        mean = positive(lambda values: float(np.nanmean(values)), here)
        part = positive(recovered, here, bag, real) if has_gap else UNKNOWN
        row: dict[str, Any] = {KIND: kind, "what": KNOWN.find(kind).description}
        row |= {"n": int((~np.isnan(here)).sum())}
        row |= {"plateau": mean.number, "plateau_low": mean.low, "plateau_high": mean.high}
        row |= {"recovered": part.number}
        row |= {"recovered_low": part.low, "recovered_high": part.high}
        for name, steps in (("plateau_ks", found), ("slope_ks", towards)):
            pair = [steps.sel({KIND: one}).values for one in (kind, REAL)]
            drawn = analysis.resamples(f"{name} {kind}", len(pair[0]))
            low, high = (0.0, 0.0) if kind == REAL else ks_interval(pair[0], pair[1], drawn)
            row |= {name: ks_statistic(pair[0], pair[1]), f"{name}_low": low, f"{name}_high": high}
        rows.append(row)
    return pd.DataFrame(rows)


def draw_answer(analysis: Analysis) -> Drawing:
    """Plateaus of all kinds, and KS distances of the way to them."""
    table = answer_table(analysis)
    asked = (("plateau", "plateau step"), ("slope_ks", "KS to real of the max-slope step"))
    panels = [
        RowPanel(label, [Row(row[KIND], *row[[name, f"{name}_low", f"{name}_high"]])
                         for _, row in table.iterrows()])
        for name, label in asked
    ]  # fmt: skip
    n = int(table["n"].min())
    return draw_rows(
        panels,
        f"What is left when some of a real activation is kept. Left: mean activation plateau step "
        f"of L2 around it (threshold {analysis.constants['threshold']:.3g}; dotted: real). Right: "
        "KS distance, to paths towards the real activations themselves, of the max-slope step on "
        f"absolute paths. n = {n}; bars: 95% intervals over samples.",
        Setting(model=model_of(analysis)),
    )


def _needs() -> Sequence[Need]:
    return (Need(PLATEAUS, metrics=("l2",)), Need(CURVES, metrics=("l2",)))


ANSWER = (
    "What has to be kept of a real activation. plateau: mean activation plateau step of L2 (steps) "
    "around what was made of another prompt's activation, at the end of the base's prompt; "
    "recovered: the part of the gap between the bag and the real activations, where there is one; "
    "plateau_ks and slope_ks: KS distances to real of plateau steps, and of max-slope steps on "
    "absolute paths from the base. Brackets (low, high): 95% intervals over samples, kinds paired."
)
STUDY = Study(
    name="compositions",
    question="What has to be kept of a real activation for its plateau to appear?",
    settings=Settings,
    prepare=prepare,
    parts=parts,
    derived={"plateau_steps": plateaus, "slope_steps": slopes},
    tables=[Table("answer", ANSWER, answer_table, _needs())],
    figures=[Figure("answer", draw_answer, _needs())],
    claims=CLAIMS,
    facts=lambda run: {"step and threshold": run.constants["scales"]["origin"]},
)
