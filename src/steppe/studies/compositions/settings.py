"""What can be asked of this study."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from steppe.core.readings import Reading
from steppe.settings.looks import LookSettings
from steppe.settings.metric_settings import MetricSettings
from steppe.settings.study_settings import (
    BaseSettings,
    DirectionSettings,
    PointSettings,
)
from steppe.studies.giglemiani2024.settings import PAPER_SAE, PAPER_SITE

SHARES = (0.25, 0.5, 0.75)
PERCENT = (1, 2, 5, 10, 20)
KINDS = (
    "real",
    "sae_reconstruction",
    *(f"composed_thresholded:{percent}" for percent in PERCENT),
    "composed_permuted",
    *(f"composed_dial:{share}" for share in reversed(SHARES)),
    "composed_gibbs",
    "composed_greedy",
    "composed_unpaired",
    "composed_norm_matched",
    "composed_weighted",
    "composed_bag",
    "random",
)


class Settings(BaseSettings, PointSettings, DirectionSettings, MetricSettings, LookSettings):
    """The settings of one run."""

    SAE_OF_PAPER = PAPER_SAE

    study: Literal["compositions"] = "compositions"
    samples: int = Field(500, ge=2, description="base prompts, each with one target per kind")
    reading: Reading = Field("text", description="how statistics are read: as giglemiani2024 does")
    site: str = Field(PAPER_SITE, description="where activations are moved")
    read: str = Field("blocks.last.hook_resid_post", description="where L2 is read")
    step_size: float | None = Field(
        None, gt=0, description="length of an absolute step; None: giglemiani2024's 0.5, scaled"
    )
    threshold: float | None = Field(
        None, gt=0, description="plateau threshold on L2; None: giglemiani2024's 20, scaled"
    )

    @property
    def kinds(self) -> tuple[str, ...]:
        """The kinds that are measured, those on directions that were asked for among them."""
        return (*KINDS, *self.directions)

    @property
    def variant(self) -> tuple[str, ...]:
        """What was singled out."""
        reading = () if self.reading == "text" else (self.reading,)
        return (*reading, *(() if self.points == "full" else (self.points,)), *self.ending)
