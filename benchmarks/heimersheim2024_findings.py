"""What did a run of heimersheim2024 find? Puts its tables into the findings section of the page.

steppe reproduce heimersheim2024
python benchmarks/heimersheim2024_findings.py runs/heimersheim2024-demo
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import pandas as pd

import steppe
from steppe.report import to_markdown

PAGE = Path(__file__).resolve().parents[1] / "docs" / "heimersheim2024.md"
BEGIN = "<!-- findings: begin (benchmarks/heimersheim2024_findings.py) -->"
END = "<!-- findings: end -->"
# Tables of the section: their title, and columns that are left to the run folder.
TABLES = {
    "plateaus": ("Plateaus: median crossings, and mean KL and L2 on the way", []),
    "directions": ("Directions: median crossings, and how they compare with real-other", []),
    "optima": ("Local optima in random 2-D families of directions", []),
    "ascent": ("Before and after climbing the sensitivity", []),
    "features": ("SAE decoder rows", []),
    "controls": ("Controls", []),
    "encoding": ("Latents that the SAE finds", []),
    "search": ("The search of crossings", []),
}


def section(path: Path) -> str:
    """The section as Markdown."""
    run = steppe.open_run(path)
    tables, resolved = run.tables, run.config["resolved"]
    claims = tables["claims"]
    verdicts = claims["verdict"].value_counts()
    said = ", ".join(f"{count} {verdict}" for verdict, count in verdicts.items())
    seconds = sum(record.get("wall_seconds", 0) for record in run.provenance)
    parts = [
        f"*{resolved['samples']} base prompts of {resolved['prompt_length']} tokens, "
        f"{resolved['draws']} directions of each kind per base, seed {resolved['seed']}, weights "
        f"{resolved['subject_identity']['sha256'][:12]}; {seconds:.0f} s. Crossings in degrees "
        "(sphere) or in units of the base's norm (straight), at "
        f"{resolved['level']:g} nats. Brackets: 95% bootstrap intervals over base prompts.*",
        f"Claims ({said}; every number is positive where its claim holds; `tables/claims.csv`):",
        _claims(claims),
    ]
    for name, (title, dropped) in TABLES.items():
        if name in tables:
            shown = tables[name].drop(columns=dropped)
            parts += [f"{title} (`{name}`):", to_markdown(shown)]
    return "\n\n".join(part.rstrip() for part in parts) + "\n"


def _claims(claims: pd.DataFrame) -> str:
    rows = [
        f"| {row.id} | {row.statement} | {row.quantity} | {row.number:.2f} "
        f"[{row.low:.2f}, {row.high:.2f}] | {row.verdict} |"
        for row in claims.itertuples()
    ]
    head = ["| | claim | number | value | verdict |", "|---|---|---|---|---|"]
    return "\n".join([*head, *rows])


def main() -> None:
    """Replace what stands between the page's findings marks."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run", type=Path)
    text = PAGE.read_text(encoding="utf-8")
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not (begin and end):
        sys.exit(f"{PAGE} has no lines {BEGIN!r} and {END!r}")
    made = section(parser.parse_args().run)
    PAGE.write_text(f"{before}{BEGIN}\n\n{made}\n{END}{after}", encoding="utf-8")


if __name__ == "__main__":
    main()
