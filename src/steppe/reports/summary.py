"""The summary of a run folder: what ran, what came out, and where it is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd

from steppe.reports.escaping import markdown
from steppe.reports.tables import to_markdown
from steppe.store.writing import write_atomically


@dataclass(frozen=True, eq=False)
class TableEntry:
    """A table in the summary.

    Attributes:
        name: Its file name, without ending.
        table: Its content.
        caption: What it shows.
    """

    name: str
    table: pd.DataFrame
    caption: str


@dataclass(frozen=True)
class FigureEntry:
    """A figure in the summary.

    Attributes:
        name: Its file name, without ending.
        caption: What it shows.
    """

    name: str
    caption: str


@dataclass(frozen=True, eq=False)
class Summary:
    """What is said of a run.

    Attributes:
        title: The heading.
        facts: What was run, in the order it is to be read: model, SAE, samples, reading, ...
        claims: One sentence each, as Markdown: what the run says on a claim of the paper.
        claims_note: What to know of all of them together.
        tables: The tables.
        figures: The figures.
    """

    title: str
    facts: Mapping[str, object]
    claims: Sequence[str] = ()
    claims_note: str = ""
    tables: Sequence[TableEntry] = field(default_factory=tuple)
    figures: Sequence[FigureEntry] = field(default_factory=tuple)


def write_summary(path: Path, summary: Summary) -> None:
    """Write the summary of a run.

    Args:
        path: The file, in the run folder; links are relative to it.
        summary: What it says.

    Raises:
        RunFailedError: The disk is full, or cannot be written.
    """
    write_atomically(path, render_summary(summary).encode())


def render_summary(summary: Summary) -> str:
    """The summary as Markdown."""
    facts = "".join(
        f"- {markdown(name)}: {markdown(value)}\n" for name, value in summary.facts.items()
    )
    parts = [f"# {markdown(summary.title)}\n", f"## What was run\n\n{facts}"]
    if summary.claims:
        claims = "".join(f"- {claim}\n" for claim in summary.claims)
        parts.append(f"## What the paper claims, and what this run says\n\n{claims}")
        parts += [f"{summary.claims_note}\n"] if summary.claims_note else []
    if summary.tables:
        parts.append("## Tables\n")
        parts += [_table(entry) for entry in summary.tables]
    if summary.figures:
        parts.append("## Figures\n")
        parts += [_figure(entry) for entry in summary.figures]
    parts.append(f"## Where the files are\n\n{_FILES}")
    return "\n".join(parts)


_FILES = """- `config.yaml`: the settings as asked and as resolved
- `provenance.json`: versions, machine and command of each start
- `*.zarr`: what was measured (`steppe.open_run(...).dataset(name)`, or xarray)
- `tables/`: every table as CSV (all digits), Markdown and LaTeX
- `figures/`: every figure as PDF and PNG, its caption as text
"""


def _table(entry: TableEntry) -> str:
    return (
        f"### {title_of(entry.name)}\n\n{to_markdown(entry.table)}\n"
        f"{markdown(entry.caption)} (`tables/{entry.name}.csv`)\n"
    )


def _figure(entry: FigureEntry) -> str:
    title = title_of(entry.name)
    return f"### {title}\n\n![{title}](figures/{entry.name}.png)\n\n{markdown(entry.caption)}\n"


def title_of(name: str) -> str:
    """``table_a1`` as ``Table A.1``."""
    kind, _, number = name.partition("_")
    if number[:1].isalpha() and number[1:].isdigit():
        number = f"{number[0].upper()}.{number[1:]}"
    elif len(number) == 1:
        number = number.upper()
    return f"{kind.capitalize()} {number}".replace("_", " ").strip()
