"""What can be asked of this study, and what the report asked."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, field_validator, model_validator

from steppe.core.errors import InputError
from steppe.core.names import in_order
from steppe.settings.faults import as_fault
from steppe.settings.study_settings import BaseSettings, DirectionSettings
from steppe.studies.heimersheim2024.names import FURTHER, PARTS

PAPER_SITE = "blocks.1.hook_resid_pre"
PAPER_SAE = f"gpt2-small-res-jb/{PAPER_SITE}"


class Settings(BaseSettings, DirectionSettings):
    """The settings of one run; every field is a key of the YAML file and an option."""

    SAE_OF_PAPER = PAPER_SAE

    study: Literal["heimersheim2024"] = "heimersheim2024"
    samples: int = Field(120, ge=2, description="base prompts")
    site: str = Field(PAPER_SITE, description="where activations are moved")
    read: str = Field("blocks.last.hook_resid_post", description="where L2 and cosine are read")
    level: float = Field(
        0.5,
        gt=0,
        description="KL at which a path counts as crossed",
        json_schema_extra={"unit": "nats", "origin": "the report"},
    )
    flat_level: float = Field(
        0.1,
        gt=0,
        description="KL up to which the output is flat",
        json_schema_extra={"unit": "nats"},
    )
    n_points: int = Field(101, ge=3, description="points of a path, the base and the end included")
    draws: int = Field(5, ge=1, description="directions of each kind per base")
    examples: int = Field(3, ge=1, description="bases whose curves are shown one by one")
    example_draws: int = Field(10, ge=1, description="directions of each kind from each of them")
    families: int = Field(3, ge=1, description="random 2-D families of directions per base")
    inward: float = Field(0.1, gt=0, lt=1, description="how far from a corner neighbours are mixed")
    ring: float = Field(
        10.0,
        gt=0,
        lt=90,
        description="angle of the neighbours around a corner",
        json_schema_extra={"unit": "degrees"},
    )
    planes: int = Field(4, ge=1, description="planes through three real activations")
    plane_points: int = Field(61, ge=3, description="grid points along each side of a plane")
    triangles: int = Field(3, ge=1, description="bases whose triangles are drawn")
    subdivisions: int = Field(12, ge=1, description="steps along each side of a triangle")
    ascent_bases: int = Field(16, ge=1, description="bases from which sensitivity is climbed")
    ascent_starts: int = Field(6, ge=1, description="starts per base, random and real each")
    ascent_steps: int = Field(40, ge=1, description="steps of the ascent")
    artificial_draws: int = Field(
        2, ge=1, description="directions from each artificial base, and shared ones of part 1"
    )
    control_samples: int = Field(
        3000, ge=100, description="activations behind the moments at the controls' sites"
    )
    encoded: int = Field(1000, ge=2, description="activations of each kind whose latents count")
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

    @model_validator(mode="after")
    @as_fault
    def _further_of_something(self) -> Self:
        if FURTHER in self.only and not self.directions:
            raise InputError(
                "only",
                got=f"{FURTHER!r}, and no directions",
                expected="kinds of direction beside the report's own",
                fix="name some: --directions pca:1-3",
            )
        return self

    @property
    def variant(self) -> tuple[str, ...]:
        """The parts that were singled out."""
        return self.only
