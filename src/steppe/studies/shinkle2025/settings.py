"""What can be asked of this study."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, ValidationInfo, field_validator

from steppe.core.errors import InputError
from steppe.core.names import in_order
from steppe.core.readings import Reading
from steppe.settings.faults import as_fault
from steppe.settings.study_settings import BaseSettings, DirectionSettings

DIRECTIONS = "directions"
PARTS = ("depth", "frozen", "untrained", "jacobians", DIRECTIONS)


class Settings(BaseSettings, DirectionSettings):
    """The settings of one run."""

    study: Literal["shinkle2025"] = "shinkle2025"
    samples: int = Field(100, ge=2, description="prompts, each paired with another last token")
    site: str = Field(
        "blocks.0.hook_resid_post",
        description="where activations are moved while parts are frozen and Jacobians are taken",
    )
    n_points: int = Field(50, ge=3, description="points of a path, both ends included")
    reading: Reading = Field(
        "code",
        description="what parts are frozen to. code: the mean over the path; text: their value at "
        "the base",
    )
    jacobian_samples: int = Field(24, ge=1, description="prompts whose Jacobians are taken")
    jacobian_points: int = Field(17, ge=3, description="points of their paths")
    probes: int = Field(
        8, ge=0, description="random vectors behind a Jacobian's norm; 0: exact, one per dimension"
    )
    only: tuple[str, ...] = Field(
        (),
        description="measure only these parts; empty: all of them",
        json_schema_extra={"choices": [*PARTS]},
    )

    @field_validator("only")
    @classmethod
    @as_fault
    def _known_parts(cls, value: tuple[str, ...], info: ValidationInfo) -> tuple[str, ...]:
        asked = bool(info.data.get("directions"))
        if DIRECTIONS in value and not asked:
            raise InputError(
                "only",
                got=DIRECTIONS,
                expected="directions to measure",
                fix="name them: --directions contrastive:formality",
            )
        # What was asked for by itself is measured whatever else is singled out.
        return in_order("only", (*value, DIRECTIONS) if asked and value else value, PARTS)

    @property
    def variant(self) -> tuple[str, ...]:
        """What was singled out by --reading and --only."""
        return (*(() if self.reading == "code" else (self.reading,)), *self.only)
