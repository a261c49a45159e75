"""What can be asked of this study."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, field_validator

from steppe.core.names import in_order
from steppe.settings.faults import as_fault
from steppe.settings.looks import LookSettings
from steppe.settings.metric_settings import MetricSettings
from steppe.settings.study_settings import BaseSettings, DirectionSettings

PARTS = ("interpolations", "untrained", "slices")


class Settings(BaseSettings, DirectionSettings, MetricSettings, LookSettings):
    """The settings of one run."""

    study: Literal["janiak2024"] = "janiak2024"
    samples: int = Field(100, ge=2, description="base prompts, each with one target per kind")
    site: str = Field("blocks.0.hook_resid_post", description="where activations are moved")
    read: str = Field("blocks.last.hook_resid_post", description="where L2 is read before the norm")
    n_points: int = Field(11, ge=3, description="points of a path, both ends included (11 or 21)")
    planes: int = Field(3, ge=1, description="planes through three activations that are drawn")
    plane_points: int = Field(41, ge=3, description="grid points along each side of a plane")
    only: tuple[str, ...] = Field(
        (),
        description="measure only these parts; empty: all of them",
        json_schema_extra={"choices": [*PARTS]},
    )

    @field_validator("only")
    @classmethod
    @as_fault
    def _known_parts(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        return in_order("only", value, PARTS)

    @property
    def variant(self) -> tuple[str, ...]:
        """What was singled out by --only, and --until."""
        return (*self.only, *self.ending)
