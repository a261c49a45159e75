"""What can be asked of this study."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field, ValidationInfo, field_validator

from steppe.core.errors import InputError
from steppe.core.fixed_directions import fixed_direction
from steppe.settings.faults import as_fault
from steppe.settings.study_settings import BaseSettings, DirectionSettings


class Settings(BaseSettings, DirectionSettings):
    """The settings of one run."""

    BOS_WHERE_THERE_IS_ONE: ClassVar[bool] = True

    study: Literal["ferreira2026"] = "ferreira2026"
    samples: int = Field(30, ge=2, description="anchors: prompts whose last activation is moved")
    prompt_length: int = Field(5, ge=2, description="tokens per prompt, BOS included (5 or 10)")
    moments_samples: int = Field(
        2000, ge=100, description="activations that pca, random_difference and sae_top are made of"
    )
    contrastive: tuple[str, ...] = Field(
        ("concepts", "languages", "programming"),
        min_length=1,
        description="pairs of prompts behind contrastive directions: bundled sets or files",
    )
    pairs: int = Field(
        16,
        ge=2,
        le=16,
        description="pairs of directions per family; no direction is in two. Of --directions, a "
        "family of its own, the first two are a pair, then the next two",
        validate_default=True,
    )
    reading: Literal["code", "searched"] = Field(
        "code",
        description="code: the response on a whole grid of angles, and its contour. searched: "
        "where the median over anchors crosses the threshold along 16 rays, with a fifth of the "
        "points; one threshold",
    )
    n_points: int = Field(31, ge=7, description="angles along each direction, 0 among them")
    reach: float = Field(
        60.0, gt=0, le=90, description="largest angle", json_schema_extra={"unit": "degrees"}
    )
    melbo_steps: int = Field(
        100, ge=1, description="steps of the ascent behind each melbo direction"
    )

    @field_validator("pairs")
    @classmethod
    @as_fault
    def _whole_pairs(cls, value: int, info: ValidationInfo) -> int:
        directions = info.data.get("directions", ())
        own = [name for name in directions if fixed_direction(name) is None]
        if own or len(directions) % 2 or len(directions) > 2 * value:
            raise InputError(
                "directions",
                got=f"{own[0]!r}, another one at each anchor"
                if own
                else f"{len(directions)} directions",
                expected=f"fixed directions, two for each of {value} pairs at most",
                fix="name an even number of fixed ones, or raise --pairs (up to 16)",
            )
        return value
