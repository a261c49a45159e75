"""How does a study's report grow: tables, figures and claims, then the summary of all of them?"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd

from steppe.reports import (
    Drawing,
    FigureEntry,
    Summary,
    TableEntry,
    save_drawing,
    to_csv,
    write_summary,
    write_table,
)
from steppe.store import FIGURES, SUMMARY, TABLES, Run
from steppe.store.writing import write_atomically
from steppe.study.verdicts import multiplicity_text

CLAIMS = "claims"
_VERSIONS = ("steppe", "commit", "torch", "transformers", "numpy", "device")


@dataclass(kw_only=True)
class Report:
    """What has been written of a run so far, in the order it is to be read.

    Attributes:
        run: The run.
        tables: Tables written.
        figures: Figures written.
        title: The heading.
    """

    run: Run
    tables: list[TableEntry] = field(default_factory=list)
    figures: list[FigureEntry] = field(default_factory=list)
    title: str = ""

    @property
    def root(self) -> Path:
        """The run folder."""
        return self.run.path

    def add_table(self, name: str, table: pd.DataFrame, caption: str) -> None:
        """Write a table and remember it for the summary."""
        write_table(self.root / TABLES, name, table, caption)
        self.tables.append(TableEntry(name, table, caption))

    def add_data(self, name: str, table: pd.DataFrame) -> None:
        """Write what figures are drawn from as CSV beside them."""
        write_atomically(self.root / FIGURES / f"{name}.csv", to_csv(table).encode())

    def add_record(self, name: str, files: Mapping[str, Any]) -> None:
        """Write JSON files into a folder beside the tables."""
        for file, content in files.items():
            text = json.dumps(content, indent=1, allow_nan=False)
            write_atomically(self.root / TABLES / name / file, f"{text}\n".encode())

    def add_figure(self, name: str, drawing: Drawing) -> None:
        """Write a figure and remember it for the summary."""
        save_drawing(self.root / FIGURES, name, drawing)
        self.figures.append(FigureEntry(name, drawing.caption))

    def finish(
        self, title: str, facts: Mapping[str, object], claims: pd.DataFrame, caption: str
    ) -> None:
        """Write the claims, unless there are none, and the summary.

        Args:
            title: The summary's heading.
            facts: What was run, in the order it is to be read.
            claims: A table of `claims_frame` with a column ``quantity``; ``published`` if known,
                and ``number_at_...`` where the same number was also taken elsewhere.
            caption: What is said under the claims' table.
        """
        self.title = title
        note = multiplicity_text(claims) if len(claims) else ""
        if len(claims):
            write_table(self.root / TABLES, CLAIMS, claims, f"{caption} {note}")
        summary = Summary(title, facts, sentences_of(claims), note, self.tables, self.figures)
        write_summary(self.root / SUMMARY, summary)


def sentences_of(claims: pd.DataFrame) -> list[str]:
    """One sentence a claim: its verdict, what it says, and the number that decides it."""
    return [
        f"**{row.id} {row.verdict}**{_corrected(row)}: {row.statement} ({row.quantity}: "
        f"{row.number:.2f}, 95% interval {row.low:.2f} to {row.high:.2f}"
        f"{_further(row._asdict())})"
        for row in claims.itertuples()
    ]


def _corrected(row: Any) -> str:
    changed = row.verdict_holm != row.verdict
    return f" ({row.verdict_holm} after Holm's correction)" if changed else ""


def _further(row: Mapping[str, Any]) -> str:
    """What stands beside a claim's number: the same elsewhere (``number_at_...``), published."""
    names = {
        name: name.removeprefix("number_").replace("_", " ")
        for name in row
        if name.startswith("number_at_") and not name.endswith(("_low", "_high"))
    } | {"published": "as published"}
    found = {text: row.get(name) for name, text in names.items()}
    return "".join(f"; {text}: {x:.2f}" for text, x in found.items() if not pd.isna(x))


def short(identity: Mapping[str, str]) -> str:
    """The beginning of an identity's checksum, for a summary's facts."""
    return f"sha256 {identity['sha256'][:12]}"


def format_text(run: Run) -> str:
    """The number format that a run was computed in, and the one asked for where it is another."""
    computed: str = run.config["resolved"]["model_identity"]["dtype"]
    asked = run.config["asked"].get("dtype", computed)
    return computed if asked == computed else f"{computed}, where {asked} is slow and was asked for"


def versions_text(run: Run) -> str:
    """What was another at a later start of a run, and may decide last bits or more; else nothing.

    Starts that measured nothing do not count.
    """
    found: dict[str, list[str]] = {name: [] for name in _VERSIONS}
    for record in run.provenance:
        # One that was killed does not say how much it measured.
        if record.get("shards_asked", 1):
            known = {**record, **record.get("packages", {})}
            for name, versions in found.items():
                versions.append(str(known.get(name)))
    several = {name: list(dict.fromkeys(versions)) for name, versions in found.items()}
    return "; ".join(f"{k} {', then '.join(v)}" for k, v in several.items() if len(v) > 1)


def moments_text(run: Run) -> str:
    """What mean and covariance of a run were estimated from, and how few activations make them."""
    count = run.config["resolved"]["moments_from"]
    known = [record["activations"] for record in run.provenance if record.get("activations")]
    if not known:
        return f"{count} activations"
    found = known[-1]
    is_less = run.config["resolved"].get("ordinary_moments")
    which = f", the ordinary ones of {found['count']}; of all" if is_less else ""
    return (
        f"{count} activations{which}, norm {found['median_norm']:.3g} (median), "
        f"{found['percentile_99']:.3g} (99th percentile); {found['outliers']} of more than five "
        f"medians make {found['outliers_share_of_variance']:.1%} of the variance, which is as "
        f"unequal as if {found['carriers']:.0f} equal activations carried it"
    )


def fit_text(run: Run) -> str:
    """How the SAEs of a run do on its own activations, by the latest start that measured it."""
    known = [record["sae_fit"] for record in run.provenance if record.get("sae_fit")]
    if not known:
        return "not measured"
    return "; ".join(
        f"{f'{label}: ' if len(known[-1]) > 1 else ''}explained variance "
        f"{found['explained_variance']:.3f}, L0 {found['mean_l0']:.1f}, "
        f"{found['dead_share']:.1%} of the latents silent, on {found['count']} of the run's own "
        "activations"
        for label, found in known[-1].items()
    )
