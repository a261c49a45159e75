"""The study as shards: what is measured where, and the folder it goes to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from steppe.core.axes import POSITION, QUANTILE, SAMPLE, SERIES, STEP
from steppe.recipes.lee2024.material import Material, prepare
from steppe.recipes.lee2024.measuring import (
    CROSSING,
    QUANTILES,
    measure_directions,
    measure_substitutions,
)
from steppe.recipes.lee2024.outcome import report_outcome
from steppe.recipes.lee2024.outputs import DIRECTIONS, SAES, SUBSTITUTIONS
from steppe.recipes.lee2024.plan import Series
from steppe.recipes.lee2024.saes import sae_dataset
from steppe.recipes.lee2024.settings import Settings
from steppe.recipes.starting import start_study
from steppe.recipes.study import Shard, Study, split
from steppe.store import Opening, RunFolder, Template, Variable

SHARD_SIZE = 4
_STREAM = "residual stream"


class Lee2024(Study):
    """The study of Lee and Heimersheim 2024 in one run folder."""

    def __init__(self, material: Material, folder: RunFolder) -> None:
        self.material = material
        self.folder = folder

    def shards(self) -> Sequence[Shard]:
        """Every shard of the directions and of the substitutions."""
        samples, plan = self.material.settings.samples, self.material.plan
        found = split(DIRECTIONS, samples, SHARD_SIZE)
        return [*found, *split(SUBSTITUTIONS, samples, SHARD_SIZE)] if plan.substitutions else found

    def compute(self, shard: Shard) -> Mapping[str, NDArray[np.generic]]:
        """Measure one shard."""
        if shard.dataset == DIRECTIONS:
            return measure_directions(self.material, shard.samples)
        return measure_substitutions(self.material, shard.samples)

    def report(self) -> None:
        """Write tables, figures and the summary."""
        report_outcome(self.folder.path)

    def create_datasets(self) -> None:
        """Lay out the datasets, and measure the small one that has no shards."""
        material = self.material
        self.folder.create_dataset(DIRECTIONS, _directions_template(material))
        if material.plan.substitutions:
            self.folder.create_dataset(SUBSTITUTIONS, _substitutions_template(material))
        if material.saes and not self.folder.has_dataset(SAES):
            per_site = {name: place.moments for name, place in material.places.items()}
            self.folder.write_dataset(SAES, sae_dataset(list(material.saes.values()), per_site))
        moments = material.places[material.plan.site].moments
        self.folder.write_moments({"mean": moments.mean, "covariance": moments.covariance})


def open_study(settings: Settings, opening: Opening) -> Study:
    """Prepare the study and start, or continue, its run folder (`start_study`)."""
    return start_study(settings, opening, lambda: prepare(settings), Lee2024)


def _directions_template(material: Material) -> Template:
    curve = (SERIES, SAMPLE, STEP)
    lengths = material.lengths
    return Template(
        samples=material.settings.samples,
        shard_size=SHARD_SIZE,
        variables={
            **_readouts(curve),
            "kl_quantile": Variable((*curve, QUANTILE), "nats", "quantile of KL over tokens"),
            "crossed": Variable(curve, "1", f"share of tokens with KL above {CROSSING:g} nats"),
            "tokens_used": Variable(
                (SERIES, SAMPLE), "1", "tokens that have a direction and are averaged", "int64"
            ),
            "tokens": Variable((SAMPLE, POSITION), "token", "the sequence", "int64"),
            "clean_loss": Variable((SAMPLE,), "nats", "mean loss when nothing is moved"),
            "base_norm": Variable((SAMPLE,), _STREAM, "mean norm of activations but the first"),
            "first_norm": Variable((SAMPLE,), _STREAM, "norm of the first activation"),
        },
        fixed=xr.Dataset(
            coords={
                **_labels(material.plan.directions),
                "length": (STEP, lengths, {"unit": _STREAM, "long_name": "length"}),
                "paper_length": (STEP, lengths / material.scale, {"unit": "GPT-2's"}),
                QUANTILE: (QUANTILE, np.array(QUANTILES)),
            },
            attrs=_attributes(material),
        ),
        sizes={POSITION: material.settings.prompt_length},
    )


def _substitutions_template(material: Material) -> Template:
    dims = (SERIES, SAMPLE)
    return Template(
        samples=material.settings.samples,
        shard_size=SHARD_SIZE,
        variables={
            **_readouts(dims),
            "distance": Variable(dims, _STREAM, "mean distance to the base"),
            "cosine": Variable(dims, "1", "mean cosine to the base"),
            "norm_ratio": Variable(dims, "1", "mean norm over that of the base"),
        },
        fixed=xr.Dataset(coords=_labels(material.plan.substitutions), attrs=_attributes(material)),
    )


def _readouts(dims: tuple[str, ...]) -> dict[str, Variable]:
    return {
        "kl": Variable(dims, "nats", "KL(clean || moved), mean over tokens but the first"),
        "kl_with_first": Variable(dims, "nats", "the same, the first token among them"),
        "loss_increase": Variable(dims, "nats", "loss increase, mean over tokens but the first"),
        "loss_increase_with_first": Variable(dims, "nats", "the same, the first among them"),
    }


def _labels(series: Sequence[Series]) -> dict[str, tuple[str, NDArray[np.object_]]]:
    columns = {
        SERIES: [one.name for one in series],
        "kind": [one.kind for one in series],
        "site": [one.site for one in series],
        "sae": [one.sae for one in series],
    }
    return {name: (SERIES, np.array(values, object)) for name, values in columns.items()}


def _attributes(material: Material) -> dict[str, str | float]:
    return {
        "subject": material.subject.name,
        # Not "coordinates": xarray takes that attribute for its own.
        "residual_coordinates": material.subject.coordinates,
        "site": material.plan.site,
        "positions": material.settings.positions,
        "scale": material.scale,
    }
