"""The units of a run: the paper's constants, carried over to another subject by measurement."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any

from steppe.recipes.giglemiani2024.settings import Settings

PAPER_STEP_SIZE = 0.5  # section 4.1
PAPER_THRESHOLD = 20.0  # section 4.4
PAPER_MIN_SLOPE = 0.02  # the authors' code
PAPER_COSINE = 0.42  # section 4.2
PAPER_TARGET_DISTANCE = 40.0  # section 4.2
# Read off Figure 1: the level that the mean curve towards real targets reaches at the mean target.
PAPER_OUTPUT_DISTANCE = 237.0
PAPER_SWEEP = (10.0, 20.0, 30.0, 40.0)


@dataclass(frozen=True)
class Typical:
    """What was measured on a subject, over pairs of its own activations.

    Attributes:
        pairs: Number of pairs.
        target_distance: Mean L2 distance from a base to a real target, at the site.
        output_distance: Mean L2 distance, where L2 is read, between the outputs with the real
            target and with the base in place.
        cosine: Mean cosine between base and real target about the SAE's decoder bias.
    """

    pairs: int
    target_distance: float
    output_distance: float
    cosine: float

    @classmethod
    def unknown(cls) -> Typical:
        """Before anything was measured."""
        return cls(0, math.nan, math.nan, math.nan)


@dataclass(frozen=True)
class Scales:
    """The constants a run uses, in the subject's own units.

    Attributes:
        step_size: Length of a step on an absolute path.
        threshold: Plateau threshold on L2.
        sweep: Thresholds of the sweep (the paper's 10, 20, 30, 40).
        output_ratio: L2 at the output in this subject's units per unit of GPT-2's.
        min_slope: Smallest L2 rise in one step that counts as a slope (``code`` reading).
        cosine: Cosine that the structured top latent should have with the base's.
        origin: Where the constants came from, in words.
        typical: The measurements behind them.
    """

    step_size: float
    threshold: float
    sweep: tuple[float, ...]
    output_ratio: float
    min_slope: float
    cosine: float
    origin: str
    typical: Typical

    def as_dict(self) -> dict[str, Any]:
        """Plain data for the run's config."""
        return {**asdict(self), "sweep": list(self.sweep)}


def choose_scales(settings: Settings, typical: Typical, *, is_paper: bool) -> Scales:
    """Decide a run's constants: the paper's on its own subject, else scaled by ``typical``."""
    if is_paper:
        input_ratio, output_ratio, cosine = 1.0, 1.0, PAPER_COSINE
        origin = "the paper's constants"
    else:
        input_ratio = typical.target_distance / PAPER_TARGET_DISTANCE
        output_ratio = typical.output_distance / PAPER_OUTPUT_DISTANCE
        cosine = typical.cosine
        origin = (
            f"the paper's constants, scaled to this subject: lengths at the site by "
            f"{input_ratio:.3g} (mean base-to-target distance {typical.target_distance:.3g} for "
            f"{PAPER_TARGET_DISTANCE:g}), L2 at the output by {output_ratio:.3g} (mean distance at "
            f"the target {typical.output_distance:.3g} for {PAPER_OUTPUT_DISTANCE:g}), cosine of "
            f"the structured top latent {cosine:.2f} for {PAPER_COSINE}"
        )
    asked = {"step size": settings.step_size, "threshold": settings.threshold}
    given = [f"{name} {value:g}" for name, value in asked.items() if value is not None]
    threshold = settings.threshold or PAPER_THRESHOLD * output_ratio
    return Scales(
        step_size=settings.step_size or PAPER_STEP_SIZE * input_ratio,
        threshold=threshold,
        sweep=tuple(level / PAPER_THRESHOLD * threshold for level in PAPER_SWEEP),
        output_ratio=output_ratio,
        min_slope=PAPER_MIN_SLOPE * output_ratio,
        cosine=cosine,
        origin="; ".join([origin, *(f"{text} as asked" for text in given)]),
        typical=typical,
    )
