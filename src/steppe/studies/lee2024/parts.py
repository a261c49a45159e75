"""What is measured: along directions, by substitution, and of the SAEs themselves."""

from __future__ import annotations

from steppe.studies.lee2024.analysis import DIRECTIONS, SAES, SUBSTITUTIONS
from steppe.studies.lee2024.measuring import (
    lay_out_directions,
    lay_out_substitutions,
    measure_directions,
    measure_substitutions,
)
from steppe.studies.lee2024.saes import sae_dataset
from steppe.studies.lee2024.settings import Settings
from steppe.study import FunctionPart, Part, WholePart

WITH_SAE = frozenset({"pool", "moments", "sae"})


def parts(settings: Settings) -> list[Part]:
    """Directions at every length, and substitutions."""
    adds = "errors and features of SAEs"
    needs = WITH_SAE | settings.direction_needs
    along = FunctionPart(DIRECTIONS, lay_out_directions, measure_directions, needs, adds)
    replaced = FunctionPart(SUBSTITUTIONS, lay_out_substitutions, measure_substitutions, WITH_SAE)
    return [along, replaced]


def wholes(settings: Settings) -> list[WholePart]:  # noqa: ARG001
    """What is known of the SAEs."""
    return [WholePart(SAES, sae_dataset, WITH_SAE)]
