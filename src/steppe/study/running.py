"""A study in its run folder: which shards there are, how one is measured, what is reported."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from steppe.recipes.starting import start_study
from steppe.recipes.study import Shard, split
from steppe.recipes.study import Study as RunnableStudy
from steppe.store import Opening, RunFolder
from steppe.study.context import Context
from steppe.study.given import Given
from steppe.study.report import report
from steppe.study.settings import BaseSettings
from steppe.study.study import Plan, Study


class StudyRun(RunnableStudy):
    """A study in one run folder."""

    def __init__(self, study: Study, plan: Plan, context: Context[Any], folder: RunFolder) -> None:
        self.study = study
        self.plan = plan
        self.context = context
        self.folder = folder
        self._parts = {part.name: part for part in plan.parts}
        self._specs = {part.name: part.spec(context) for part in plan.parts}

    def shards(self) -> Sequence[Shard]:
        """Every shard of every part."""
        return [
            shard
            for name, spec in self._specs.items()
            for shard in split(name, spec.samples, spec.shard_size)
        ]

    def compute(self, shard: Shard) -> Mapping[str, NDArray[np.generic]]:
        """Measure one shard."""
        return self._parts[shard.dataset].measure(self.context, shard.samples)

    def create_datasets(self) -> None:
        """Lay out the datasets, and measure those that have no shards."""
        for name, spec in self._specs.items():
            self.folder.create_dataset(name, spec)
        for whole in self.plan.wholes:
            # One that is there is kept: it may not depend on the number of samples.
            if not self.folder.has_dataset(whole.name):
                self.folder.write_dataset(whole.name, whole.function(self.context))
        if "moments" in self.context.needs:
            moments = self.context.moments
            self.folder.write_moments({"mean": moments.mean, "covariance": moments.covariance})

    def report(self) -> None:
        """Write tables, figures, claims and the summary."""
        report(self.study, self.folder.path)


def open_study(
    study: Study, settings: BaseSettings, opening: Opening, given: Given | None = None
) -> RunnableStudy:
    """Prepare a study and start, or continue, its run folder.

    Raises:
        InputError: Settings that do not fit, or a folder of another configuration.
    """
    objects = given or Given()
    plan = study.plan(settings, objects)

    def prepare() -> Context[Any]:
        context = Context.open(settings, plan.needs, objects)
        constants: dict[str, Any] = {
            "left_out": dict(plan.left_out),
            "parts": {part.name: part.definition for part in plan.parts},
        }
        if study.prepare is not None:
            constants |= study.prepare(context)
        context.constants = constants
        return context

    return start_study(
        settings, opening, prepare, lambda context, folder: StudyRun(study, plan, context, folder)
    )
