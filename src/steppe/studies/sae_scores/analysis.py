"""A finished run with the scores of its SAEs and latents."""

from __future__ import annotations

from functools import cached_property

import pandas as pd

from steppe.studies.lee2024.analysis import Sensitivity
from steppe.studies.sae_scores.latent_table import latent_table
from steppe.studies.sae_scores.scores import scores_of


class Scored(Sensitivity):
    """A finished run; both tables are made once."""

    @cached_property
    def table(self) -> pd.DataFrame:
        """One row per SAE, best first by the score that was asked for; see `scores.ranked`."""
        return scores_of(self)

    @cached_property
    def latents(self) -> pd.DataFrame:
        """One row per latent of the SAE whose latents were measured one by one."""
        return latent_table(self)
