"""The settings of one run, and what the paper asked."""

from __future__ import annotations

from typing import Any, Literal, Self

from pydantic import Field, field_validator, model_validator

from steppe.core.bundled import DEMO
from steppe.core.errors import InputError
from steppe.core.names import in_order
from steppe.settings.faults import as_fault
from steppe.settings.several_saes import SaesSettings
from steppe.settings.study_settings import DirectionSettings
from steppe.studies.lee2024.plan import PARTS

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

# Lengths in the residual stream of GPT-2. The paper shows 0 to 101; its authors' code goes to 201.
LENGTHS: dict[str, tuple[float, ...]] = {
    "coarse": (1, 11, 21, 31, 51, 71, 101),
    "paper": tuple(range(1, 102, 10)),
    "authors": tuple(range(1, 202, 10)),
}


class Settings(SaesSettings, DirectionSettings):
    """The settings of one run; every field is a key of the YAML file and an option."""

    SAE_OF_PAPER = PAPER_SAES[6]
    SAES_OF_PAPER = PAPER_SAES

    study: Literal["lee2024"] = "lee2024"
    samples: int = Field(
        DEMO_SAMPLES, ge=2, description="sequences; by default 64, with the paper's settings 16000"
    )
    prompt_length: int = Field(128, ge=3, description="tokens per sequence, BOS included")
    positions: Literal["all", "last"] = Field(
        "all", description="move all positions at once, or the last that a token follows"
    )
    lengths: Literal["coarse", "paper", "authors"] | tuple[float, ...] | None = Field(
        None,
        description="lengths that are scanned: paper (1, 11, ..., 101), authors (to 201), coarse, "
        "or numbers; in GPT-2's units, scaled to other models; None: paper with the paper's "
        "settings, else coarse",
    )
    scale: float | None = Field(
        None, gt=0, description="lengths are multiplied by this; None: by the norms' ratio to GPT-2"
    )
    first_position: Literal["replaced", "kept"] | None = Field(
        None,
        description="in substitutions, the activation of the first token; None: replaced with "
        "the paper's settings, else kept",
    )
    moments_samples: int = Field(
        32_000, ge=100, description="activations behind the mean, the covariance and own rates"
    )
    only: tuple[str, ...] = Field(
        (),
        description="measure only these parts; empty: all of them",
        json_schema_extra={"choices": [*PARTS]},
    )

    @model_validator(mode="after")
    def _samples_of_the_paper(self) -> Self:
        if self.is_paper and "samples" not in self.model_fields_set:
            # Not among the fields that were set: the weights may say that it is another model.
            self.__dict__["samples"] = PAPER_SAMPLES
        return self

    @field_validator("only")
    @classmethod
    @as_fault
    def _known_parts(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        return in_order("only", value, PARTS)

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
        asked = self.lengths or ("paper" if self.is_paper else "coarse")
        return (0.0, *map(float, LENGTHS[asked] if isinstance(asked, str) else asked))

    @property
    def hang_on_weights(self) -> set[str]:
        """Fields that only the model's weights decide, as nothing was asked."""
        found = super().hang_on_weights
        is_open = bool(found) and self.model != DEMO and "samples" not in self.model_fields_set
        return found | {"samples"} if is_open else found

    @property
    def keeps_first(self) -> bool:
        """Whether substitutions keep the activation of the first token."""
        return (self.first_position or ("replaced" if self.is_paper else "kept")) == "kept"

    @property
    def moves_all(self) -> bool:
        """Whether all positions are moved at once, or one."""
        return self.positions == "all"

    @property
    def variant(self) -> tuple[str, ...]:
        """What was singled out by --only."""
        return self.only
