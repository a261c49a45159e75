"""Settings of a study with several SAEs, each at a site of its own."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field, field_validator

from steppe.core.bundled import DEMO
from steppe.core.sites import Site
from steppe.settings.faults import as_fault
from steppe.settings.study_settings import SiteSettings

MIDDLE = "middle"


class SaesSettings(SiteSettings):
    """Which SAEs there are: named, those of a folder, or those that belong to the model."""

    BOS_WHERE_THERE_IS_ONE = True
    POOL_OF_ALL_POSITIONS = True
    # Also the number of the middle layer.
    UNRESOLVED: ClassVar[frozenset[str]] = frozenset({"device", "site"})
    # The SAEs of the published study, on its model.
    SAES_OF_PAPER: ClassVar[tuple[str, ...]] = ()

    saes: tuple[str, ...] = Field(
        (), description="SAEs, or folders of SAEs; empty: those that belong to the model"
    )
    site: str = Field(
        MIDDLE, description="where activations are moved; 'middle': before the middle layer"
    )

    @field_validator("site")
    @classmethod
    @as_fault
    def _known_site(cls, value: str) -> str:
        return value if value == MIDDLE else Site.parse(value).name

    @property
    def moves_all(self) -> bool:
        """Whether all positions are moved at the study's own site, or one."""
        return True

    def site_in(self, n_layers: int) -> Site:
        """The study's own site, with the position."""
        middle = f"blocks.{n_layers // 2}.hook_resid_pre"
        name = middle if self.site == MIDDLE else self.site
        return Site.parse(name, "all" if self.moves_all else -1).resolve(n_layers)

    @property
    def has_sae(self) -> bool:
        """Whether SAEs were asked for, or come with the model."""
        return bool(self.sae_sources)

    @property
    def sae_sources(self) -> tuple[str, ...]:
        """The SAEs asked for, or those that belong to the model; none where it has none."""
        if self.saes or self.sae is not None:
            return self.saes or (str(self.sae),)
        if self.brings_saes:
            return (DEMO,)
        return self.SAES_OF_PAPER if self.is_paper else ()

    @property
    def sae_site(self) -> str | None:
        """Each SAE is used at its own site."""
        return None
