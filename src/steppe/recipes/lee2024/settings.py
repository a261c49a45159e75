"""What can be asked of this recipe, and what the paper asked."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

from pydantic import Field, field_validator, model_validator

from steppe.core.errors import InputError
from steppe.core.names import in_order
from steppe.core.sites import Site
from steppe.recipes.faults import as_fault
from steppe.recipes.lee2024.plan import PARTS
from steppe.recipes.study_settings import (
    PAPER_PROMPTS,
    PAPER_SUBJECT_NAMES,
    StudySettings,
    for_subjects,
)

# Those of the paper's SAEs that steppe reads: one per layer (Bloom 2024), and of Braun et al. 2024,
# at layer 6, a local, an end-to-end and a downstream one at like L0 (sl) and at like loss (sc).
PAPER_SAES = (
    *(f"gpt2-small-res-jb/blocks.{layer}.hook_resid_pre" for layer in range(12)),
    *(
        f"gpt2-small-res_{name}-ajt/blocks.6.hook_resid_pre"
        for name in ("sll", "sle", "slefr", "scl", "sce", "scefr")
    ),
)
PAPER_SAMPLES = 16_000
DEMO_SAMPLES = 64
MIDDLE = "middle"

# Lengths in the residual stream of GPT-2. The paper shows 0 to 101; its authors' code goes to 201.
LENGTHS: dict[str, tuple[float, ...]] = {
    "coarse": (1, 11, 21, 31, 51, 71, 101),
    "paper": tuple(range(1, 102, 10)),
    "authors": tuple(range(1, 202, 10)),
}


class Settings(StudySettings):
    """The settings of one run; every field is a key of the YAML file and an option."""

    SAES = for_subjects("demo", ", ".join(PAPER_SAES))
    PROMPTS = for_subjects("demo", PAPER_PROMPTS)
    # Also the number of the middle layer.
    UNRESOLVED: ClassVar[frozenset[str]] = frozenset({"device", "site"})

    recipe: Literal["lee2024"] = "lee2024"
    samples: int = Field(
        DEMO_SAMPLES, ge=2, description="sequences; by default 64, and 16000 for gpt2"
    )
    saes: tuple[str, ...] = Field(
        (), description="SAEs, or folders of SAEs; empty: those that belong to the subject"
    )
    site: str = Field(
        MIDDLE, description="where activations are moved; 'middle': before the middle layer"
    )
    prompt_length: int = Field(128, ge=3, description="tokens per sequence, the first included")
    positions: Literal["all", "last"] = Field(
        "all", description="move all positions at once, or the last that a token follows"
    )
    lengths: Literal["coarse", "paper", "authors"] | tuple[float, ...] | None = Field(
        None,
        description="lengths that are scanned: paper (1, 11, ..., 101), authors (to 201), coarse, "
        "or numbers; in GPT-2's units, scaled to other subjects; None: paper for gpt2, coarse for "
        "others",
    )
    scale: float | None = Field(
        None, gt=0, description="lengths are multiplied by this; None: by the norms' ratio to GPT-2"
    )
    first_position: Literal["replaced", "kept"] | None = Field(
        None,
        description="in substitutions, the activation of the first token; None: replaced for gpt2 "
        "as in the paper, else kept",
    )
    max_prompts: int = Field(40_000, ge=2, description="sequences taken from the source, at most")
    moments_samples: int = Field(
        32_000, ge=100, description="activations behind the mean, the covariance and own rates"
    )
    only: tuple[str, ...] = Field((), description="measure only these parts; empty: all of them")

    @model_validator(mode="before")
    @classmethod
    def _samples_of_the_subject(cls, asked: Any) -> Any:
        if isinstance(asked, dict) and asked.get("subject") in PAPER_SUBJECT_NAMES:
            return {"samples": PAPER_SAMPLES, **asked}
        return asked

    @field_validator("only")
    @classmethod
    @as_fault
    def _known_parts(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        return in_order("only", value, PARTS)

    @field_validator("site")
    @classmethod
    @as_fault
    def _known_site(cls, value: str) -> str:
        return value if value == MIDDLE else Site.parse(value).name

    @field_validator("lengths")
    @classmethod
    @as_fault
    def _growing_lengths(cls, value: Any) -> Any:
        if isinstance(value, tuple) and (not value or sorted({0.0, *value}) != [0.0, *value]):
            raise InputError(
                "lengths",
                got=str(list(value)),
                expected="positive lengths, each longer than the one before",
                fix="for instance [1, 11, 51, 101]; length 0 is always there",
            )
        return value

    @property
    def paper_lengths(self) -> tuple[float, ...]:
        """The lengths that are scanned, before they are scaled, from 0 on."""
        asked = self.lengths or ("paper" if self.is_paper_subject else "coarse")
        return (0.0, *map(float, LENGTHS[asked] if isinstance(asked, str) else asked))

    @property
    def sae_sources(self) -> tuple[str, ...]:
        """The SAEs asked for, or those that belong to the subject."""
        if self.saes or self.sae is not None:
            return self.saes or (self.sae_source,)
        return tuple(self.sae_source.split(", "))

    @property
    def variant(self) -> tuple[str, ...]:
        """What was singled out by --only."""
        return self.only
