"""What can be asked of this study."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field

from steppe.settings.several_saes import MIDDLE, SaesSettings
from steppe.settings.study_settings import ResamplingSettings
from steppe.studies.lee2024.settings import PAPER_SAES

RankedBy = Literal[
    "error_kl",
    "active_kl",
    "alive_kl",
    "active_area",
    "alive_area",
    "structured_ks",
    "top_p",
    "loss_recovered",
    "explained_variance",
]


class Settings(SaesSettings, ResamplingSettings):
    """The settings of one run."""

    SAE_OF_PAPER = PAPER_SAES[6]
    SAES_OF_PAPER = PAPER_SAES
    UNRESOLVED: ClassVar[frozenset[str]] = SaesSettings.UNRESOLVED | {"read"}

    study: Literal["sae_scores"] = "sae_scores"
    samples: int = Field(
        160, ge=2, description="prompts whose last activation is moved: crossings, synthetic kinds"
    )
    sequences: int = Field(
        32, ge=2, description="of them those of which all positions are moved at once, at most"
    )
    anchors: int = Field(20, ge=2, description="of them those whose contours are searched, at most")
    site: str = Field(
        MIDDLE,
        description="where lengths are scaled to GPT-2's, and where an SAE object is used that "
        "names no site; 'middle': before the middle layer",
    )
    read: str = Field("blocks.last.hook_resid_post", description="where L2 is read")
    prompt_length: int = Field(128, ge=3, description="tokens per sequence, BOS included")
    lengths: tuple[float, ...] = Field(
        (11.0, 31.0, 71.0),
        min_length=1,
        description="lengths along decoder rows and mixtures, in GPT-2's units, scaled",
    )
    scale: float | None = Field(
        None, gt=0, description="lengths are multiplied by this; None: by the norms' ratio to GPT-2"
    )
    level: float = Field(
        0.5, gt=0, description="KL that a crossing is of", json_schema_extra={"unit": "nats"}
    )
    draws: int = Field(2, ge=1, description="directions of each kind per prompt for crossings")
    pairs: int = Field(
        8, ge=2, description="pairs of the most active latents whose contours are searched"
    )
    latents_of: str | None = Field(
        None,
        description="the SAE whose latents are measured one by one, by its label; None: the first "
        "local one of the study's own site, by name",
    )
    latents: int | None = Field(
        None, ge=1, description="so many of its latents, the most frequent; None: all"
    )
    latent_prompts: int = Field(9, ge=2, description="prompts that every latent is tried in")
    latent_length: float = Field(
        31.0,
        gt=0,
        description="length at which the next token is looked at, in GPT-2's units, scaled",
    )
    rank_by: RankedBy = Field(
        "error_kl", description="the score that tables and ranks are ordered by"
    )

    @property
    def paper_lengths(self) -> tuple[float, ...]:
        """The lengths before they are scaled, from 0 on."""
        return (0.0, *sorted(self.lengths))

    @property
    def keeps_first(self) -> bool:
        """Whether substitutions keep the activation of the first token: always."""
        return True

    @property
    def positions(self) -> str:
        """What lee2024's parts move."""
        return "all"
