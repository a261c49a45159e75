"""The study as shards: what is measured where, and the folder it goes to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from steppe.recipes.giglemiani2024 import latents, plateaus, sensitivity
from steppe.recipes.giglemiani2024.material import Material, prepare
from steppe.recipes.giglemiani2024.outcome import report_outcome
from steppe.recipes.giglemiani2024.outputs import Selection, select
from steppe.recipes.giglemiani2024.settings import Settings
from steppe.recipes.starting import start_study
from steppe.recipes.study import Shard, Study, split
from steppe.store import CURVES, LATENTS, PLATEAUS, Opening, RunFolder

SHARD_SIZE = 20


class Giglemiani2024(Study):
    """The study of Giglemiani et al. 2024 in one run folder."""

    def __init__(self, material: Material, folder: RunFolder) -> None:
        self.material = material
        self.folder = folder
        self.selection: Selection = select(material.settings.only, material.settings.kinds)

    def shards(self) -> Sequence[Shard]:
        """Every shard of the curves and of the plateaus."""
        samples = self.material.settings.samples
        found: list[Shard] = []
        if self.selection.modes:
            found += split(CURVES, samples, SHARD_SIZE)
        if self.selection.bases:
            found += split(PLATEAUS, samples, SHARD_SIZE)
        return found

    def compute(self, shard: Shard) -> Mapping[str, NDArray[np.generic]]:
        """Measure one shard."""
        if shard.dataset == CURVES:
            return sensitivity.measure(self.material, self.selection, shard.samples)
        return plateaus.measure(self.material, self.selection.bases, shard.samples)

    def report(self) -> None:
        """Write tables, figures and the summary."""
        report_outcome(self.folder.path)

    def create_datasets(self) -> None:
        """Lay out the datasets, and measure the small one that has no shards."""
        if self.selection.modes:
            template = sensitivity.template(self.material, self.selection, SHARD_SIZE)
            self.folder.create_dataset(CURVES, template)
        if self.selection.bases:
            template = plateaus.template(self.material, self.selection.bases, SHARD_SIZE)
            self.folder.create_dataset(PLATEAUS, template)
        if self.selection.latents and not self.folder.has_dataset(LATENTS):
            self.folder.write_dataset(LATENTS, latents.measure(self.material))
        moments = self.material.stock.moments
        self.folder.write_moments({"mean": moments.mean, "covariance": moments.covariance})


def open_study(settings: Settings, opening: Opening) -> Study:
    """Prepare the study and start, or continue, its run folder (`start_study`)."""
    return start_study(settings, opening, lambda: prepare(settings), Giglemiani2024)
