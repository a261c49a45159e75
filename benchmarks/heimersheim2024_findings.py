"""What did a run of heimersheim2024 find? Puts tables and figures into the findings of its page.

steppe reproduce heimersheim2024
python benchmarks/heimersheim2024_findings.py runs/heimersheim2024-demo
"""

from __future__ import annotations

from pathlib import Path

import pandas as pd

import steppe
from findings_page import Page, seconds, verdicts
from steppe.reports import to_markdown

PAGE = Page(
    "heimersheim2024",
    ("plateau_curves", "direction_examples", "direction_curves", "plane_1", "triangles"),
)
# Tables of the section, with their titles; the others are left to the run folder.
TABLES = {
    "plateaus": "Plateaus: median crossings, and mean KL and L2 up to a right angle or the norm",
    "directions": "Directions: median crossings, and how often real-other comes earlier",
    "optima": "Local optima in random 2-D families of directions",
    "ascent": "Before and after climbing the sensitivity",
    "features": "SAE decoder rows beside other directions",
    "artificial": "Bases with latents added or removed, or moved as far",
    "controls": "Controls",
    "encoding": "Latents that the SAE finds",
    "search": "The search of crossings",
}


def section(path: Path) -> str:
    """The section as Markdown."""
    run = steppe.open_run(path)
    tables, resolved = run.tables, run.config["resolved"]
    claims = tables["claims"]
    parts = [
        f"*{resolved['samples']} base prompts of {resolved['prompt_length']} tokens, "
        f"{resolved['draws']} directions of each kind per base, seed {resolved['seed']}, weights "
        f"{resolved['model_identity']['sha256'][:12]}; {seconds(run)}. Crossings in degrees "
        "(sphere) or in units of the base's norm (straight), at "
        f"{resolved['level']:g} nats. Brackets: 95% intervals over base prompts.*",
        f"Claims ({verdicts(claims)}; every number is positive where its claim holds; "
        "`tables/claims.csv`):",
        _claims(claims),
    ]
    parts += PAGE.pictures(path)
    for name, title in TABLES.items():
        if name in tables:
            parts += [f"{title} (`{name}`):", to_markdown(tables[name])]
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
    PAGE.write(section)


if __name__ == "__main__":
    main()
