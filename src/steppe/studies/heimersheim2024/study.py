"""Heimersheim and Mendel 2024 as one study: its parts, tables, figures and claims."""

from __future__ import annotations

from steppe.core.lazy import later
from steppe.studies.heimersheim2024.claims import CLAIMS
from steppe.studies.heimersheim2024.figures import FIGURES
from steppe.studies.heimersheim2024.settings import Settings
from steppe.studies.heimersheim2024.tables import TABLES, levels
from steppe.study import Analysis, Study


def facts(a: Analysis) -> dict[str, object]:
    """What the summary says beside what it says of every study."""
    return {
        "directions of each kind per base": a.settings.draws,
        "levels": levels(a),
        "points of a path": a.settings.n_points,
    }


def claims_caption(a: Analysis) -> str:
    """What is said under the claims."""
    return (
        "The report's claims (HM) and its predictions with our checks (HP). Each number is "
        "positive where the claim holds; it holds where its whole 95% interval (over base prompts, "
        f"of HM7 and HM8 over vectors) is positive. {levels(a)} Model: {a.model}."
    )


STUDY = Study(
    name="heimersheim2024",
    paper="[Interim research report] Activation plateaus & sensitive directions in GPT2 "
    "(Heimersheim & Mendel, 2024)",
    question="Do real activations lie on plateaus, and which directions lead off soonest?",
    settings=Settings,
    parts=later("steppe.studies.heimersheim2024.parts:parts"),
    wholes=later("steppe.studies.heimersheim2024.parts:wholes"),
    tables=TABLES,
    figures=FIGURES,
    claims=CLAIMS,
    claims_caption=claims_caption,
    facts=facts,
)
