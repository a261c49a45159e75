"""Are SAE errors and SAE features more influential than random directions?"""

from __future__ import annotations

from steppe.core.lazy import later
from steppe.studies.lee2024 import plan as p
from steppe.studies.lee2024.analysis import Sensitivity
from steppe.studies.lee2024.claims import claims_of
from steppe.studies.lee2024.figures import FIGURES
from steppe.studies.lee2024.settings import Settings
from steppe.studies.lee2024.tables import TABLES, caption
from steppe.study import Study


def facts(run: Sensitivity) -> dict[str, object]:
    """What the summary says of this study's runs beside what it says of any."""
    lengths = ", ".join(f"{x:.4g}" for x in run.lengths)
    return {
        "moved at": run.moved_at(),
        "lengths": f"{lengths}. {run.scaled}",
        "SAEs": "; ".join(
            f"{sae.label} ({sae.family}, L0 {sae.l0:.1f}, {sae.dead} dead latents)"
            for sae in run.plan.saes
        )
        or "none",
        "parts left out": ", ".join(_left_out(run)) or "none",
        "moments from": f"{run.constants['moments_from']} activations, the first of each sequence "
        + ("and outliers left out" if run.constants["ordinary_moments"] else "left out"),
        "first position": "moved along directions; in substitutions "
        f"{run.constants['first_position']}; not in averages, unless a column says with_first",
    }


def _left_out(run: Sensitivity) -> list[str]:
    families = {sae.family for sae in run.plan.here}
    lacking = {
        p.ERRORS: not run.plan.per_layer,
        p.FEATURES: p.LOCAL not in families,
        p.END_TO_END: not families - {p.LOCAL},
        p.SUBSTITUTION: not families,
    }
    reasons = [f"{part} (no SAE for it)" for part, lacks in lacking.items() if lacks]
    asked = run.settings.only or p.PARTS
    return [*reasons, *(f"{part} (not asked for)" for part in p.PARTS if part not in asked)]


def claims_caption(run: Sensitivity) -> str:
    """What is said under the claims."""
    return (
        "The paper's claims on this model. Numbers are differences of ln KL, averaged over the "
        "scanned lengths unless they are of substitutions; positive where the claim holds, which "
        "it does where the whole 95% interval over sequences is positive. Intervals say "
        f"nothing of other SAEs. Number at length {run.middle[0]}: the same at that length of "
        "GPT-2 alone. Published: from the authors' printed numbers and figures (GPT-2 small; of "
        f"features at length 51, so beside the number there). {caption(run)}"
    )


STUDY = Study(
    name="lee2024",
    paper="Investigating Sensitive Directions in GPT-2: An Improved Baseline and Comparative "
    "Analysis of SAEs (Lee & Heimersheim, 2024; arXiv 2410.12555)",
    question="Are SAE errors and SAE features more influential than random directions?",
    settings=Settings,
    prepare=later("steppe.studies.lee2024.measuring:prepare"),
    parts=later("steppe.studies.lee2024.parts:parts"),
    wholes=later("steppe.studies.lee2024.parts:wholes"),
    analysis=Sensitivity,
    tables=TABLES,
    figures=FIGURES,
    claims=lambda run: claims_of(run.plan),
    claims_caption=claims_caption,
    facts=facts,
)
