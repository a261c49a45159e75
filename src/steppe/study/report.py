"""From a finished run to its tables, figures, claims and summary; needs no model."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from steppe.reports import Drawing
from steppe.store import open_run
from steppe.store.directions import read_directions
from steppe.study import reporting
from steppe.study.analysis import Analysis
from steppe.study.claims import claims_table
from steppe.study.outputs import Figure, Table
from steppe.study.prompt_facts import prompt_facts
from steppe.study.study import Study


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
    if "firing_rates" in resolved:
        identity = reporting.short(resolved["sae_identity"])
        rates = resolved["firing_rates"]
        facts |= {"SAE": f"{resolved['sae']} ({identity})", "firing rates": rates}
    if resolved.get("sae_identity"):
        facts |= {"SAE fit": reporting.fit_text(analysis.run)}
    if "moments_from" in resolved:
        facts |= {"moments from": f"{resolved['moments_from']} activations"}
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
    analysis = study.analysis.of(run, study.settings, study.derived)
    written = reporting.Report(run=run)

    def is_made(output: Table | Figure) -> bool:
        asked = study.wants(analysis.settings, [output.name], output.needs)
        return asked and analysis.has(*output.needs, whole=False)

    for table in study.tables:
        made = table.make(analysis) if is_made(table) else None
        if made is None or not len(made):
            continue
        if table.is_data:
            written.add_data(table.name, made)
            continue
        text = table.caption
        caption = f"{text} Model: {analysis.model}." if isinstance(text, str) else text(analysis)
        written.add_table(table.name, made, caption)
    for figure in study.figures:
        if is_made(figure):
            drawn = figure.draw(analysis)
            pairs = [("", drawn)] if isinstance(drawn, Drawing) else drawn
            for ending, drawing in pairs:
                written.add_figure(f"{figure.name}{ending}", drawing)
    known = study.claims(analysis) if callable(study.claims) else study.claims
    claims = [one for one in known if study.wants(analysis.settings, one.outputs, one.needs)]
    said = study.claims_caption
    caption = said if isinstance(said, str) else said(analysis)
    title, facts = study.paper or study.question, facts_of(study, analysis)
    written.finish(title, facts, claims_table(claims, analysis), caption)
