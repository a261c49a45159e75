"""What a run's page shows, and where each of its claims leads."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pandas as pd

from steppe.reports.overview import sentence
from steppe.reports.page import Page, PageClaim
from steppe.store import FIGURES
from steppe.study.analysis import Analysis
from steppe.study.claims import Claim
from steppe.study.needs import as_need
from steppe.study.outputs import Figure, Table
from steppe.study.reporting import Report
from steppe.study.study import Study
from steppe.study.token_texts import read_token_texts
from steppe.study.verdicts import multiplicity_text

# Tables and figures that a claim leads to, at most.
_LINKS = 4


def page_of(
    analysis: Analysis,
    report: Report,
    facts: Mapping[str, object],
    claims: pd.DataFrame,
    links: Mapping[str, Sequence[str]],
) -> Page:
    """All that was written of a run, and its curves.

    Args:
        analysis: The run.
        report: What was written.
        facts: What the summary says of the run.
        claims: The table of claims.
        links: By a claim's id, the tables and figures that show what decides it.
    """
    rows = claims.to_dict("records")
    return Page(
        title=report.title,
        sentence=sentence(analysis.constants),
        facts=facts,
        claims=[PageClaim({str(k): v for k, v in row.items()}, links[row["id"]]) for row in rows],
        claims_note=multiplicity_text(claims) if len(claims) else "",
        tables=report.tables,
        figures=report.figures,
        folder=analysis.run.path / FIGURES,
        datasets=analysis.datasets,
        tokens=read_token_texts(analysis.run.path),
    )


def shown_in(claim: Claim, study: Study, report: Report) -> list[str]:
    """The tables and figures that a claim names; else those that are made from what decides it."""
    datasets = {as_need(need).dataset for need in claim.needs}
    outputs: list[Table | Figure] = [*study.tables, *study.figures]
    made = [one.name for one in outputs if datasets & {as_need(n).dataset for n in one.needs}]
    wanted = claim.outputs or made
    names = [*(one.name for one in report.tables), *(one.name for one in report.figures)]
    # One figure of a study may be several files, by an ending.
    found = [name for name in names if any(f"{name}_".startswith(f"{one}_") for one in wanted)]
    return found[:_LINKS]
