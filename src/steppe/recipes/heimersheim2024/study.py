"""The study as shards: which part is measured by what, and the folder it goes to."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from steppe.recipes.heimersheim2024 import (
    artificial,
    ascent,
    controls,
    encoding,
    landscape,
    optima,
    plateaus,
    sensitivity,
)
from steppe.recipes.heimersheim2024.bench import Arrays
from steppe.recipes.heimersheim2024.material import Material, prepare
from steppe.recipes.heimersheim2024.outcome import report_outcome
from steppe.recipes.heimersheim2024.outputs import (
    ARTIFICIAL,
    ASCENT,
    CONTROLS,
    DIRECTIONS,
    ENCODING,
    EXAMPLES,
    FEATURES,
    OPTIMA,
    PLANES,
    PLATEAUS,
    TRIANGLES,
)
from steppe.recipes.heimersheim2024.settings import Settings
from steppe.recipes.starting import start_study
from steppe.recipes.study import Shard, Study, split
from steppe.store import Opening, RunFolder, Template


@dataclass(frozen=True)
class Part:
    """One part of the study, a dataset of its own.

    Attributes:
        lay_out: Its dataset before anything is measured.
        measure: Measures the samples of a shard.
    """

    lay_out: Callable[[Material], Template]
    measure: Callable[[Material, range], Arrays]


SHARDED: dict[str, Part] = {
    PLANES: Part(landscape.lay_out, landscape.measure),
    TRIANGLES: Part(optima.lay_out_triangles, optima.measure_triangles),
    EXAMPLES: Part(sensitivity.lay_out_examples, sensitivity.measure_examples),
    PLATEAUS: Part(plateaus.lay_out, plateaus.measure),
    DIRECTIONS: Part(sensitivity.lay_out, sensitivity.measure),
    OPTIMA: Part(optima.lay_out_families, optima.measure_families),
    FEATURES: Part(sensitivity.lay_out_features, sensitivity.measure_features),
    ARTIFICIAL: Part(artificial.lay_out, artificial.measure),
    CONTROLS: Part(controls.lay_out, controls.measure),
    ASCENT: Part(ascent.lay_out, ascent.measure),
}


class Heimersheim2024(Study):
    """The study of Heimersheim and Mendel 2024 in one run folder."""

    def __init__(self, material: Material, folder: RunFolder) -> None:
        self.material = material
        self.folder = folder
        parts = material.settings.parts
        self._parts = {name: part for name, part in SHARDED.items() if name in parts}

    def shards(self) -> Sequence[Shard]:
        """Every shard of every part."""
        found = []
        for name, part in self._parts.items():
            made = part.lay_out(self.material)
            found += split(name, made.samples, made.shard_size)
        return found

    def compute(self, shard: Shard) -> Mapping[str, NDArray[np.generic]]:
        """Measure one shard."""
        return self._parts[shard.dataset].measure(self.material, shard.samples)

    def report(self) -> None:
        """Write tables, figures, claims and the summary."""
        report_outcome(self.folder.path)

    def create_datasets(self) -> None:
        """Lay out the datasets, and measure the small one that has no shards."""
        for name, part in self._parts.items():
            self.folder.create_dataset(name, part.lay_out(self.material))
        if ENCODING in self.material.settings.parts and not self.folder.has_dataset(ENCODING):
            self.folder.write_dataset(ENCODING, encoding.measure(self.material))
        moments = self.material.stock.moments
        self.folder.write_moments({"mean": moments.mean, "covariance": moments.covariance})


def open_study(settings: Settings, opening: Opening) -> Study:
    """Prepare the study and start, or continue, its run folder (`start_study`)."""
    return start_study(settings, opening, lambda: prepare(settings), Heimersheim2024)
