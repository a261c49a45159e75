"""Puts the findings of a run into its study's page of the documentation."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
from PIL import Image

from steppe.store import Run

DOCS = Path(__file__).resolve().parents[1] / "docs"
END = "<!-- findings: end -->"


@dataclass(frozen=True)
class Page:
    """The page of one study.

    Attributes:
        study: Its name.
        figures: Names of the figures that the page shows.
    """

    study: str
    figures: Sequence[str]

    @property
    def path(self) -> Path:
        """The page."""
        return DOCS / f"{self.study}.md"

    @property
    def begin(self) -> str:
        """The line after which findings stand, up to `END`."""
        return f"<!-- findings: begin (benchmarks/{self.study}_findings.py) -->"

    def image(self, figure: str) -> str:
        """What a figure is called in the page's folder of images."""
        return f"{self.study}_{figure}.png"

    def pictures(self, run: Path) -> list[str]:
        """The page's figures with their captions, as paragraphs of Markdown."""
        paragraphs = []
        for name in self.figures:
            caption = (run / "figures" / f"{name}.txt").read_text(encoding="utf-8").strip()
            paragraphs += [f"![{name}](images/{self.image(name)})", f"*{caption}*"]
        return paragraphs

    def write(self, section: Callable[[Path], str]) -> None:
        """Replace what stands between the page's marks by what a run on the command line found."""
        parser = argparse.ArgumentParser(
            description=f"Findings of a run into docs/{self.path.name}"
        )
        parser.add_argument("run", type=Path)
        text = self.path.read_text(encoding="utf-8")
        before, begin, rest = text.partition(self.begin)
        _, end, after = rest.partition(END)
        if not (begin and end):
            sys.exit(f"{self.path} has no lines {self.begin!r} and {END!r}")
        run = parser.parse_args().run
        made = section(run)
        for name in self.figures:
            shrink(run / "figures" / f"{name}.png", DOCS / "images" / self.image(name))
        self.path.write_text(f"{before}{begin}\n\n{made}\n{END}{after}", encoding="utf-8")


def shrink(figure: Path, image: Path) -> None:
    """A figure as a page needs it: 1050 pixels wide, in 96 colours."""
    with Image.open(figure) as opened:
        whole = opened.convert("RGB")
    height = round(whole.height * 1050 / whole.width)
    whole.resize((1050, height), Image.Resampling.LANCZOS).quantize(96).save(image, optimize=True)


def verdicts(claims: pd.DataFrame) -> str:
    """How many claims hold, and how many do not."""
    counts = claims["verdict"].value_counts()
    return ", ".join(f"{count} {verdict}" for verdict, count in counts.items())


def seconds(run: Run) -> str:
    """How long a run took, over all of its starts."""
    return f"{sum(record.get('wall_seconds', 0) for record in run.provenance):.0f} s"
