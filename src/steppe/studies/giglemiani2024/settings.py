"""What can be asked of this study, and what the paper asked."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import Field, ValidationInfo, field_validator

from steppe.core.errors import InputError
from steppe.core.lazy import load
from steppe.core.names import in_order
from steppe.core.readings import Reading
from steppe.settings.faults import as_fault
from steppe.settings.looks import LookSettings
from steppe.settings.metric_settings import MetricSettings
from steppe.settings.study_settings import (
    PAPER_PROMPTS,
    BaseSettings,
    PageSettings,
    PointSettings,
)
from steppe.studies.giglemiani2024.outputs import ALL_OUTPUTS, KINDS

THRESHOLD = 20.0  # section 4.4
# In GPT-2's units, along which plateaus of kinds are compared.
LEVELS = tuple(float(level) for level in range(5, 61, 5))
MIN_SLOPE = 0.02  # the authors' code
PAPER_SITE = "blocks.1.hook_resid_pre"
PAPER_SAE = f"gpt2-small-res-jb/{PAPER_SITE}"
# With these, constants are the paper's own; with those below, numbers can be compared with its.
SETUP = {
    "site": PAPER_SITE,
    "read": {"blocks.11.hook_resid_post", "blocks.last.hook_resid_post"}.__contains__,
    "coordinates": {None, "centered"}.__contains__,
    "prompt_length": 10,
}
PUBLISHED = SETUP | {
    "prompts": PAPER_PROMPTS,
    "reading": "code",
    "dtype": "float32",
    "samples": (1000).__le__,
    "step_size": 0.5,
    "threshold": THRESHOLD,
}


class Settings(BaseSettings, PointSettings, PageSettings, MetricSettings, LookSettings):
    """The settings of one run; every field is a key of the YAML file and an option."""

    SAE_OF_PAPER = PAPER_SAE

    study: Literal["giglemiani2024"] = "giglemiani2024"
    samples: int = Field(1000, ge=2, description="base prompts, each with one target per kind")
    reading: Reading = Field("code", description="what the authors ran, or what the paper says")
    site: str = Field(PAPER_SITE, description="where activations are moved")
    read: str = Field("blocks.last.hook_resid_post", description="where L2 and cosine are read")
    latent_samples: int = Field(2000, ge=2, description="activations behind Appendix E")
    step_size: float | None = Field(
        None, gt=0, description="length of an absolute step; None: the paper's 0.5, scaled"
    )
    threshold: float | None = Field(
        None, gt=0, description="plateau threshold on L2; None: the paper's 20, scaled"
    )
    kinds: tuple[str, ...] = Field(
        KINDS,
        description="kinds of target that are measured, also registered ones of your own and fixed "
        "directions (pca:1, contrastive:formality)",
        json_schema_extra={"choices": [*KINDS]},
    )
    only: tuple[str, ...] = Field(
        (),
        description="make only these tables and figures; empty: all of them",
        json_schema_extra={"choices": [*ALL_OUTPUTS]},
    )

    @field_validator("kinds")
    @classmethod
    @as_fault
    def _known_kinds(cls, value: tuple[str, ...], info: ValidationInfo) -> tuple[str, ...]:
        if info.context:
            return value
        known: list[str] = [*KINDS]
        if not set(value) <= {*KINDS}:
            # Sets of fixed directions are written out; their names say by themselves what they are.
            value = load("steppe.directions:expand")(value)
            registry = load("steppe.activations:KINDS")
            known = [*dict.fromkeys([*registry, *(kind for kind in value if kind in registry)])]
        kinds = in_order("kinds", value, known)
        if "real" not in kinds:
            raise InputError(
                "kinds",
                got=", ".join(value),
                expected="'real' among them: every comparison is made against it",
                fix="add 'real'",
            )
        return kinds

    @field_validator("only")
    @classmethod
    @as_fault
    def _known_outputs(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        return in_order("only", value, ALL_OUTPUTS)

    @property
    def variant(self) -> tuple[str, ...]:
        """What was singled out by --reading and --only, adaptive points, and --until."""
        reading = () if self.reading == "code" else (self.reading,)
        points = () if self.points == "full" else (self.points,)
        return (*reading, *points, *self.only, *self.ending)


def has_papers_sae(identity: Mapping[str, Any] | None) -> bool:
    """Whether an SAE is the paper's, by what a run records of it."""
    known = identity or {}
    return f"{known.get('release')}/{known.get('sae_id')}" == PAPER_SAE
