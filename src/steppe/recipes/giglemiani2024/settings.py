"""What can be asked of this recipe, and what the paper asked."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field, field_validator

from steppe.core.errors import InputError
from steppe.core.names import in_order
from steppe.core.readings import Reading
from steppe.recipes.faults import as_fault
from steppe.recipes.giglemiani2024.outputs import ALL_OUTPUTS, KINDS
from steppe.recipes.study_settings import ResamplingSettings

PAPER_SAE = "gpt2-small-res-jb/blocks.1.hook_resid_pre"


class Settings(ResamplingSettings):
    """The settings of one run; every field is a key of the YAML file and an option."""

    SAE_OF_PAPER = PAPER_SAE
    # Also the last layer's number.
    UNRESOLVED: ClassVar[frozenset[str]] = frozenset({"device", "read"})

    recipe: Literal["giglemiani2024"] = "giglemiani2024"
    samples: int = Field(1000, ge=2, description="base prompts, each with one target per kind")
    reading: Reading = Field("code", description="what the authors ran, or what the paper says")
    site: str = Field("blocks.1.hook_resid_pre", description="where activations are moved")
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
        description="kinds of target that are measured",
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
    def _known_kinds(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        kinds = in_order("kinds", value, KINDS)
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
    def is_published_setup(self) -> bool:
        """Whether subject, SAE, sites and prompts' length are the published study's."""
        return (
            self.is_paper
            and self.sae_source == PAPER_SAE
            and self.site == "blocks.1.hook_resid_pre"
            and self.read in {"blocks.11.hook_resid_post", "blocks.last.hook_resid_post"}
            and self.coordinates in {None, "centered"}
            and self.prompt_length == 10
        )

    @property
    def variant(self) -> tuple[str, ...]:
        """What was singled out by --reading and --only."""
        reading = () if self.reading == "code" else (self.reading,)
        return (*reading, *self.only)
