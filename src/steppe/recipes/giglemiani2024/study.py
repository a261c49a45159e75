"""The study as shards: what is measured where, and the folder it goes to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from steppe.core.provenance import provenance
from steppe.recipes.giglemiani2024 import latents, plateaus, sensitivity
from steppe.recipes.giglemiani2024.material import Material, prepare
from steppe.recipes.giglemiani2024.outcome import report_outcome
from steppe.recipes.giglemiani2024.outputs import Selection, select
from steppe.recipes.giglemiani2024.settings import Settings
from steppe.recipes.study import Shard, Study, split
from steppe.store import CURVES, LATENTS, PLATEAUS, Opening, RunFolder
from steppe.subject import device_facts

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
        report_outcome(self.folder.path, self.selection)

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
        moments = self.material.moments
        self.folder.write_moments({"mean": moments.mean, "covariance": moments.covariance})


def open_study(settings: Settings, opening: Opening) -> Giglemiani2024:
    """Prepare the study and start, or continue, its run folder.

    Raises:
        InputError: Settings that do not fit, a folder of another configuration, or one that another
            process is at work in.
    """
    asked = settings.model_dump(mode="json", exclude_defaults=True) | {"recipe": settings.recipe}
    # What these two resolve to is not known yet: the last layer's number, the best device.
    stated = settings.model_dump(mode="json", exclude={"read", "device"})
    opening.check(stated)
    material = prepare(settings)
    resolved = material.resolved()
    folder = opening.open({"asked": asked, "resolved": resolved}, _provenance(material, resolved))
    study = Giglemiani2024(material, folder)
    if opening.role == "owner":
        try:
            with folder.alone():
                study.create_datasets()
        except BaseException:
            folder.close()
            raise
    return study


def _provenance(material: Material, resolved: Mapping[str, Any]) -> dict[str, Any]:
    """What is to be known of one start, beside what the configuration says."""
    return {
        **provenance(),
        **device_facts(material.subject.device),
        "dtype": material.settings.dtype,
        "engine": "suffix only, over a frozen shared prefix",
        "self_check": {
            "max_relative_error": material.check.max_relative_error,
            "tolerance": material.check.tolerance,
        },
        "subject": resolved["subject_identity"],
        "sae": resolved["sae_identity"],
        "prompts": resolved["prompts_identity"],
        "seed": material.settings.seed,
    }
