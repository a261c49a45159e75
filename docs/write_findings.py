"""Put a run's tables into a page: what stands between its two findings marks is replaced.

    python docs/write_findings.py runs/heimersheim2024-demo docs/heimersheim2024.md claims

Every number of the section then comes from that run, and from nowhere else.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import yaml

BEGIN, END = "<!-- findings: written by docs/write_findings.py -->", "<!-- end of findings -->"


def section(run: Path, tables: list[str]) -> str:
    """The findings of a run as Markdown: what was run, then its tables with their captions."""
    config = yaml.safe_load((run / "config.yaml").read_text(encoding="utf-8"))["resolved"]
    identity = config["subject_identity"]
    facts = (
        f"`steppe reproduce {config['recipe']} --subject {config['subject']}`, "
        f"{config['samples']} samples, seed {config['seed']}; subject {identity['name']} "
        f"(sha256 {identity['sha256'][:12]}), moved at `{config['site']}`."
    )
    made = [(run / "tables" / f"{name}.md").read_text(encoding="utf-8") for name in tables]
    titles = [f"#### {name.replace('_', ' ').capitalize()}\n\n" for name in tables]
    parts = [title + text for title, text in zip(titles, made, strict=True)]
    return "\n".join([f"{facts}\n", *parts])


def write_findings(run: Path, page: Path, tables: list[str]) -> None:
    """Replace the findings of a page.

    Raises:
        SystemExit: The page has no findings marks.
    """
    text = page.read_text(encoding="utf-8")
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not (begin and end):
        sys.exit(f"{page} has no lines {BEGIN!r} and {END!r}")
    page.write_text(f"{before}{BEGIN}\n\n{section(run, tables)}\n{END}{after}", encoding="utf-8")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("run", type=Path, help="a finished run folder")
    parser.add_argument("page", type=Path, help="a Markdown page with findings marks")
    parser.add_argument("tables", nargs="+", help="names of tables, without ending")
    chosen = parser.parse_args()
    write_findings(chosen.run, chosen.page, chosen.tables)
