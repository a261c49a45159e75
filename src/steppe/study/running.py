"""A study in its run folder: which shards there are, how one is measured, what is reported."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from steppe.core.errors import InputError
from steppe.core.progress import tell
from steppe.recipes.before_weights import may_be_papers
from steppe.recipes.starting import start_study
from steppe.recipes.study import Shard, split
from steppe.recipes.study import Study as RunnableStudy
from steppe.recipes.study_settings import SiteSettings
from steppe.store import Opening, RunFolder, open_run
from steppe.study.context import Context
from steppe.study.given import Given
from steppe.study.report import report
from steppe.study.study import Plan, Study

# Attribute of a dataset that was measured in one go: of how many samples the run was.
OF_SAMPLES = "of_samples"


class StudyRun(RunnableStudy):
    """A study in one run folder."""

    def __init__(self, study: Study, plan: Plan, context: Context[Any], folder: RunFolder) -> None:
        self.study = study
        self.plan = plan
        self.context = context
        self.folder = folder
        self._parts = {part.name: part for part in plan.parts}
        specs = {part.name: part.spec(context) for part in plan.parts}
        self._specs = {name: spec for name, spec in specs.items() if spec is not None}

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
            samples = self.context.settings.samples
            # It may depend on all samples of the run.
            if self._samples_of(whole.name) != samples:
                found = whole.function(self.context).assign_attrs({OF_SAMPLES: samples})
                self.folder.dataset(whole.name).remove()
                self.folder.write_dataset(whole.name, found)
        if "moments" in self.context.needs:
            moments = self.context.moments
            self.folder.write_moments({"mean": moments.mean, "covariance": moments.covariance})

    def _samples_of(self, whole: str) -> int | None:
        """How many samples the run had when a dataset without shards was measured."""
        if not self.folder.has_dataset(whole):
            return None
        found: int | None = open_run(self.folder.path).dataset(whole).attrs.get(OF_SAMPLES)
        return found

    def report(self) -> None:
        """Write tables, figures, claims and the summary."""
        report(self.study, self.folder.path)


def open_study(
    study: Study, settings: SiteSettings, opening: Opening, given: Given | None = None
) -> RunnableStudy:
    """Prepare a study and start, or continue, its run folder.

    Raises:
        InputError: Settings that do not fit, or a folder of another configuration.
    """
    objects = given or Given()
    try:
        study.plan(settings, objects)
    except InputError:
        # The weights may turn out to be the paper's, which come with an SAE.
        if objects.model is not None or not may_be_papers(settings):
            raise

    def prepare() -> Context[Any]:
        context = open_context(study, settings, objects)
        if opening.role == "owner":
            for name, why in context.constants["left_out"].items():
                tell(f"left out: {name}: {why}")
        return context

    return start_study(
        settings,
        opening,
        prepare,
        lambda context, folder: StudyRun(
            study, study.plan(context.settings, objects), context, folder
        ),
    )


def open_context(study: Study, settings: SiteSettings, given: Given | None = None) -> Context[Any]:
    """What the parts of a study draw on, with the constants that it measures first.

    Raises:
        InputError: Settings that do not fit.
    """
    objects = given or Given()
    context = Context.open(settings, lambda decided: study.plan(decided, objects).needs, objects)
    plan = study.plan(context.settings, objects)
    # Before anything is measured by them: enough prompts, an exact suffix, an SAE to be trusted.
    _ = context.order, context.check, context.sae_fit
    context.constants |= {
        "left_out": dict(plan.left_out),
        "parts": {part.name: part.definition for part in plan.datasets},
        **(study.prepare(context) if study.prepare else {}),
    }
    return context
