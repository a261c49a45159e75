"""What did a run of heimersheim2024 find? Puts tables and figures into the findings of its page.

steppe reproduce heimersheim2024
python benchmarks/heimersheim2024_findings.py runs/heimersheim2024-demo
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import pandas as pd
from PIL import Image

import steppe
from steppe.report import to_markdown

PAGE = Path(__file__).resolve().parents[1] / "docs" / "heimersheim2024.md"
BEGIN = "<!-- findings: begin (benchmarks/heimersheim2024_findings.py) -->"
END = "<!-- findings: end -->"
IMAGES = PAGE.parent / "images"
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
# Figures that the page shows.
FIGURES = ("plateau_curves", "direction_examples", "direction_curves", "plane_1", "triangles")


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
    for name in FIGURES:
        caption = (path / "figures" / f"{name}.txt").read_text(encoding="utf-8").strip()
        parts += [f"![{name}](images/{_image(name)})", f"*{caption}*"]
    for name, title in TABLES.items():
        if name in tables:
            parts += [f"{title} (`{name}`):", to_markdown(tables[name])]
    return "\n\n".join(part.rstrip() for part in parts) + "\n"


def _image(name: str) -> str:
    return f"heimersheim2024_{name}.png"


def _shrink(figure: Path, image: Path) -> None:
    """A figure as a page needs it: 1050 pixels wide, in 96 colours."""
    with Image.open(figure) as opened:
        whole = opened.convert("RGB")
    height = round(whole.height * 1050 / whole.width)
    whole.resize((1050, height), Image.Resampling.LANCZOS).quantize(96).save(image, optimize=True)


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
    run = parser.parse_args().run
    made = section(run)
    for name in FIGURES:
        _shrink(run / "figures" / f"{name}.png", IMAGES / _image(name))
    PAGE.write_text(f"{before}{BEGIN}\n\n{made}\n{END}{after}", encoding="utf-8")


if __name__ == "__main__":
    main()
