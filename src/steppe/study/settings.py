"""Settings that every study of this framework has; a study adds its own."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field

from steppe.recipes.study_settings import ResamplingSettings, SiteSettings


class BaseSettings(SiteSettings, ResamplingSettings):
    """Model, prompts, samples, seed and so on; what needs an SAE is left out where there is none.

    A study's own settings are a class of this, with the field ``recipe: Literal["its name"]`` and
    one field a setting; each is a key of the YAML file and an option of the command line.
    """

    UNRESOLVED: ClassVar[frozenset[str]] = SiteSettings.UNRESOLVED | {"read"}

    read: str = Field(
        "blocks.last.hook_resid_post", description="where metrics of the residual stream look"
    )
