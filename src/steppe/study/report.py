"""From a finished run to its tables, figures, claims and summary; needs no model."""

from __future__ import annotations

from pathlib import Path

from steppe.recipes import reporting
from steppe.recipes.prompt_facts import prompt_facts
from steppe.report import Drawing
from steppe.store import open_run
from steppe.study.analysis import Analysis
from steppe.study.claims import claims_table
from steppe.study.outputs import Figure, Table
from steppe.study.study import Study

CLAIMS_CAPTION = (
    "Each claim is decided by one number, positive where it holds, with a 95% interval over base "
    "prompts. It holds where the whole interval is positive."
)


def facts_of(study: Study, analysis: Analysis) -> dict[str, object]:
    """What a summary says of a run, in the order it is to be read."""
    resolved = analysis.constants
    model = resolved["subject_identity"]
    facts: dict[str, object] = {
        "study": f"{study.name}: {study.question}",
        "model": f"{model['name']} ({reporting.short(model)})",
        "site": f"{resolved['site']}, read at {resolved['read']} "
        f"({resolved['coordinates']} coordinates)",
        **prompt_facts(resolved),
        "samples": resolved["samples"],
        "seed": resolved["seed"],
    }
    if resolved.get("sae"):
        facts |= {"SAE": resolved["sae"], "SAE fit": reporting.fit_text(analysis.run)}
    left_out = resolved.get("left_out", {})
    return facts | {f"left out: {name}": why for name, why in left_out.items()}


def report(study: Study, path: str | Path) -> None:
    """Write every table and figure of a run, its claims, and the summary.

    Args:
        study: The study that the run is of.
        path: The run folder.

    Raises:
        InputError: There is no run.
        RunFailedError: The disk is full, or cannot be written.
    """
    run = open_run(path)
    analysis = Analysis.of(run, study.settings, study.derived)
    written = reporting.Report(run=run)

    def is_made(output: Table | Figure) -> bool:
        asked = study.wants(analysis.settings, [output.name], output.needs)
        return asked and analysis.has(*output.needs, whole=False)

    for table in study.tables:
        if is_made(table):
            caption = f"{table.caption} Model: {analysis.subject}."
            written.add_table(table.name, table.make(analysis), caption)
    for figure in study.figures:
        if is_made(figure):
            drawn = figure.draw(analysis)
            pairs = [("", drawn)] if isinstance(drawn, Drawing) else drawn
            for ending, drawing in pairs:
                written.add_figure(f"{figure.name}{ending}", drawing)
    facts = facts_of(study, analysis)
    claims = [c for c in study.claims if study.wants(analysis.settings, c.outputs, c.needs)]
    title = study.paper or study.question
    written.finish(title, facts, claims_table(claims, analysis), CLAIMS_CAPTION)
