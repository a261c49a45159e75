"""From a finished run to its tables, figures, claims and summary; needs no model."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from steppe.core.errors import InputError
from steppe.core.lazy import load
from steppe.reports import Drawing
from steppe.reports.page import write_page
from steppe.settings.looks import DECIDED
from steppe.settings.request import is_steppes_own
from steppe.settings.study_settings import ADAPTIVE
from steppe.store import open_run
from steppe.store.directions import read_directions
from steppe.store.layout import PAGE
from steppe.study import reporting
from steppe.study.analysis import Analysis
from steppe.study.claims import Claim, claims_table
from steppe.study.looks import TABLE as LOOKS
from steppe.study.looks import Looks
from steppe.study.looks import caption as looks_caption
from steppe.study.needs import as_need
from steppe.study.outputs import Figure, Record, Table
from steppe.study.prompt_facts import prompt_facts
from steppe.study.run_page import page_of, shown_in
from steppe.study.study import Study

if TYPE_CHECKING:
    from steppe.study.agreement import Agreement


def facts_of(study: Study, analysis: Analysis) -> dict[str, object]:
    """What a summary says of a run, in the order it is to be read."""
    resolved = analysis.constants
    model = resolved["model_identity"]
    facts: dict[str, object] = {
        "study": f"{study.name}: {study.question}",
        "model": f"{model['name']} ({reporting.short(model)})",
        "site": resolved["site"]
        + (f", read at {resolved['read']}" if "read" in resolved else "")
        + f" ({resolved['coordinates']} coordinates)",
        **prompt_facts(analysis.run),
        "samples": resolved["samples"],
        "seed": resolved["seed"],
    }
    if (computed := reporting.format_text(analysis.run)) != "float32":
        facts |= {"number format": computed}
    if versions := reporting.versions_text(analysis.run):
        facts |= {"measured by several versions": versions}
    if "firing_rates" in resolved:
        identity = reporting.short(resolved["sae_identity"])
        rates = resolved["firing_rates"]
        facts |= {"SAE": f"{resolved['sae']} ({identity})", "firing rates": rates}
    if resolved.get("sae_identity"):
        facts |= {"SAE fit": reporting.fit_text(analysis.run)}
    if "moments_from" in resolved:
        facts |= {"moments from": reporting.moments_text(analysis.run)}
    facts |= {f"direction {name}": told for name, told in direction_facts(analysis.run.path)}
    if study.facts is not None:
        facts |= study.facts(analysis)
    left_out = resolved.get("left_out", {})
    return facts | {f"left out: {name}": why for name, why in left_out.items()}


def direction_facts(path: Path) -> Iterator[tuple[str, str]]:
    """How each fixed direction of a run was made, in words."""
    _, facts = read_directions(path) or ({}, {})
    for name, known in facts.items():
        shown = [
            f"{key.replace('_', ' ')} {value}"
            for key, value in known.items()
            if value is not None and not key.endswith("sha256")
        ]
        yield name, ", ".join(shown)


def report(study: Study, path: str | Path, looks: Looks | None = None) -> dict[str, Any]:
    """Write every table and figure of a run, its claims, and the summary.

    Args:
        study: The study that the run is of.
        path: The run folder.
        looks: What `looks_of` gave for the run as it is now; None: it is asked.

    Returns:
        What the run's provenance is to hold of it, as plain data.

    Raises:
        InputError: There is no run.
        RunFailedError: The disk is full, or cannot be written.
    """
    run = open_run(path)
    analysis = study.analysis.of(run, study.settings, study.derived)
    if not is_steppes_own(run.config["resolved"]):
        # Packages that bring kinds of their own say how these are drawn. What was measured is
        # reported without its sources: a file of directions may be gone.
        with suppress(InputError):
            study.parts(analysis.settings)
    is_partly = getattr(analysis.settings, "points", "") == ADAPTIVE
    agreed: Agreement | None = None
    if is_partly:
        agreed = load("steppe.study.agreement:agreement")(study, analysis)
    written = _Written(study, analysis, agreed, reporting.Report(run=run))
    for table in study.tables:
        written.add_table(table)
    if agreed is not None:
        written.report.add_table(agreed.name, agreed.table, agreed.caption)
    for figure in study.figures:
        written.add_figure(figure)
    for record in study.records:
        written.add_record(record)
    claims = claims_of(study, analysis)
    looks = looks_of(study, analysis) if looks is None else looks
    said = study.claims_caption
    caption = said if isinstance(said, str) else said(analysis)
    title, facts = study.paper or study.question, facts_of(study, analysis)
    if agreed is not None:
        facts |= {"points": agreed.note, "agreement with all points": agreed.verdict}
    decided = claims_table(claims, analysis) if looks is None else looks.claims
    if looks is not None and looks.found:
        facts |= {"until decided": looks.text}
        caption = f"{caption} {looks_caption(looks)}"
        written.report.add_table(LOOKS, looks.table, looks_caption(looks))
    written.report.finish(title, facts, decided, caption)
    links = {one.id: shown_in(one, study, written.report) for one in claims}
    write_page(run.path / PAGE, page_of(analysis, written.report, facts, decided, links))
    return {} if agreed is None else agreed.facts


def claims_of(study: Study, analysis: Analysis) -> list[Claim]:
    """The claims that were asked for."""
    known = study.claims(analysis) if callable(study.claims) else study.claims
    return [one for one in known if study.wants(analysis, one.outputs, one.needs)]


def looks_of(study: Study, analysis: Analysis) -> Looks | None:
    """What the claims say after each look; None where samples are not added for them."""
    if getattr(analysis.settings, "until", "") != DECIDED:
        return None
    return Looks.of(claims_of(study, analysis), analysis)


@dataclass(frozen=True, eq=False)
class _Written:
    """What has been written of a study's tables and figures.

    Attributes:
        study: The study.
        analysis: The run.
        agreed: What adaptive points are worth, where there are some.
        report: Where it goes.
    """

    study: Study
    analysis: Analysis
    agreed: Agreement | None
    report: reporting.Report

    def add_table(self, table: Table) -> None:
        """Make a table, unless it was not asked for or has no rows."""
        made = table.make(self.analysis) if self._is_made(table) else None
        if made is None or not len(made):
            return
        if table.is_data:
            self.report.add_data(table.name, made)
            return
        text, model = table.caption, self.analysis.model
        caption = f"{text} Model: {model}." if isinstance(text, str) else text(self.analysis)
        self.report.add_table(table.name, made, self._noted(caption, table))

    def add_figure(self, figure: Figure) -> None:
        """Draw a figure, or several, unless it was not asked for."""
        if not self._is_made(figure):
            return
        drawn = figure.draw(self.analysis)
        pairs = [("", drawn)] if isinstance(drawn, Drawing) else drawn
        for ending, drawing in pairs:
            noted = replace(drawing, caption=self._noted(drawing.caption, figure))
            self.report.add_figure(f"{figure.name}{ending}", noted)

    def add_record(self, record: Record) -> None:
        """Write what is meant for another tool, unless it was not asked for."""
        if self._is_made(record):
            self.report.add_record(record.name, record.make(self.analysis))

    def _is_made(self, output: Table | Figure | Record) -> bool:
        asked = self.study.wants(self.analysis, [output.name], output.needs)
        return asked and self.analysis.has(*output.needs, whole=False)

    def _noted(self, caption: str, output: Table | Figure) -> str:
        """A caption that says where not all points of the curves were computed."""
        made_from = {as_need(need).dataset for need in output.needs}
        if self.agreed is None or not made_from & {*self.agreed.points, *self.study.derived}:
            return caption
        return f"{caption} {self.agreed.note}"
