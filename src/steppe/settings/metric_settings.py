"""Settings of studies that take further metrics."""

from __future__ import annotations

from pydantic import Field, ValidationInfo, field_validator

from steppe.core.lazy import load
from steppe.settings.faults import as_fault
from steppe.settings.study_settings import StudySettings


class MetricSettings(StudySettings):
    """Settings of a study that measures further metrics along its paths, beside its own."""

    metrics: tuple[str, ...] = Field(
        (),
        description="further metrics along the paths, as `steppe list` names them: entropy, "
        "l2@SITE, 'probability: Paris| Rome', 'rank: Paris', latents_changed:SAE; empty: none",
    )

    @field_validator("metrics")
    @classmethod
    @as_fault
    def _known_metrics(cls, value: tuple[str, ...], info: ValidationInfo) -> tuple[str, ...]:
        if value and not info.context:
            load("steppe.metrics:find_metrics")(value)
        return value
