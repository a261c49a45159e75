"""A study in its run folder: which shards there are, how one is measured, what is reported."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from steppe.activations import tails
from steppe.core.bos import BOS_REASON
from steppe.core.errors import InputError
from steppe.core.parts import Part as Share
from steppe.core.progress import tell
from steppe.core.provenance import provenance, shareable
from steppe.directions import DirectionSet
from steppe.directions.resolve import fixed_among
from steppe.models import device_facts
from steppe.models.half_precision import HALF
from steppe.propagation import memory_budget
from steppe.settings.before_weights import may_be_papers
from steppe.settings.request import Request, request_of
from steppe.settings.study_settings import SiteSettings
from steppe.store import Opening, RunFolder, open_run
from steppe.store.config import SAMPLES
from steppe.store.directions import read_directions
from steppe.study.context import Context
from steppe.study.curve_part import CurvePart
from steppe.study.given import Given
from steppe.study.looks import Looks
from steppe.study.plan import Plan, plan_of
from steppe.study.report import looks_of, report
from steppe.study.starting import DECIDES_NO_NUMBER, in_a_fast_format
from steppe.study.study import Study
from steppe.study.token_texts import write_token_texts
from steppe.study.using_saes import MEASURED_ON, check_belongs, trusted_quality

# Attribute of a dataset that was measured in one go: of how many samples the run was.
OF_SAMPLES = "of_samples"


@dataclass(frozen=True)
class Shard:
    """One piece of work that can be done anywhere, in any order.

    Attributes:
        dataset: Name of the dataset it belongs to, for instance ``curves``.
        index: Its number within that dataset.
        samples: The samples it holds.
    """

    dataset: str
    index: int
    samples: range


def split(dataset: str, samples: int, shard_size: int) -> list[Shard]:
    """Cut ``samples`` into shards of ``shard_size``; the last may be shorter."""
    starts = range(0, samples, shard_size)
    return [
        Shard(dataset, index, range(start, min(start + shard_size, samples)))
        for index, start in enumerate(starts)
    ]


class StudyRun:
    """A study in one run folder.

    Shards are independent: computing them in another order, or elsewhere, gives the same numbers.
    """

    def __init__(self, study: Study, plan: Plan, context: Context[Any], folder: RunFolder) -> None:
        self.study = study
        self.plan = plan
        self.context = context
        self.folder = folder
        # What another process needs to open it as well.
        self.asked: SiteSettings = context.settings
        # What the report found that belongs into the provenance.
        self.reported: dict[str, Any] = {}
        self._looks: Looks | None = None
        self._parts = {part.name: part for part in plan.parts}
        specs = {part.name: part.spec(context) for part in plan.parts}
        self._specs = {name: spec for name, spec in specs.items() if spec is not None}
        context.kept_directions = kept_directions(folder.path)

    def shards(self) -> Sequence[Shard]:
        """Every shard of every part."""
        return [
            shard
            for name, spec in self._specs.items()
            for shard in split(name, spec.samples, spec.shard_size)
        ]

    def left(self, part: Share) -> list[Shard]:
        """The shards of a part of the work that are not finished yet.

        A shard is finished when it has all of its samples: a short last one is computed again
        after a run was given more.
        """
        finished = {name: self.folder.finished(name) for name in self._specs}
        return [
            shard
            for shard in part.of(self.shards())
            if finished[shard.dataset].get(shard.index) != shard.samples
        ]

    def compute(self, shard: Shard) -> Mapping[str, NDArray[np.generic]]:
        """Measure one shard."""
        return self._parts[shard.dataset].measure(self.context, shard.samples)

    def create_datasets(self) -> None:
        """Lay out the datasets, and measure those that have no shards."""
        self._keep_directions()
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

    def add_request(self, request: Request | None) -> None:
        """Note by which request the run is known without its model, once it is finished."""
        names = [*self._specs, *(whole.name for whole in self.plan.wholes)]
        self.folder.add_request(None if request is None else request.key, names)

    def _keep_directions(self) -> None:
        """Make the fixed directions, unless another process has made them for this run."""
        context = self.context
        context.kept_directions = kept_directions(self.folder.path)
        if fixed_among(context.needs) and context.kept_directions is None:
            made = context.fixed_directions
            vectors = dict(zip(made.names, made.vectors.numpy(), strict=True))
            self.folder.write_directions(vectors, dict(zip(made.names, made.facts, strict=True)))

    def _samples_of(self, whole: str) -> int | None:
        """How many samples the run had when a dataset without shards was measured."""
        if not self.folder.has_dataset(whole):
            return None
        found: int | None = open_run(self.folder.path).dataset(whole).attrs.get(OF_SAMPLES)
        return found

    def keep_texts(self) -> None:
        """Keep the texts of all tokens for whoever has no tokenizer, the report among them."""
        write_token_texts(self.folder.path, self.context.model.tokenizer)
        self.folder.add_texts()

    def report(self) -> None:
        """Write tables, figures, claims, the summary and the page."""
        self.reported |= report(self.study, self.folder.path, self._looks)

    def is_over(self) -> bool:
        """Whether no more samples are planned, or none are needed; the provenance says why."""
        run = open_run(self.folder.path)
        analysis = self.study.analysis.of(run, self.study.settings, self.study.derived)
        # Deciding every claim at every look takes its time: the report is told.
        self._looks = looks = looks_of(self.study, analysis)
        if looks is not None:
            self.reported |= looks.facts
            tell(looks.text)
        return looks is None or looks.is_over


def kept_directions(path: Path) -> DirectionSet | None:
    """The fixed directions that a run's folder holds; None where it holds none."""
    kept = read_directions(path)
    if kept is None:
        return None
    vectors, facts = kept
    rows = torch.stack([torch.from_numpy(vector) for vector in vectors.values()])
    return DirectionSet(tuple(vectors), rows, tuple(facts[name] for name in vectors))


def open_study(
    study: Study,
    settings: SiteSettings,
    opening: Opening,
    given: Given | None = None,
    kept: Context[Any] | None = None,
) -> StudyRun:
    """Prepare a study and start, or continue, its run folder.

    Args:
        study: The study.
        settings: What was asked.
        opening: What this process wants of the folder.
        given: Objects that stand in for what the settings name.
        kept: The context of a stage of the same run with fewer samples.

    Raises:
        InputError: Settings that do not fit, a folder of another configuration, or one that another
            process is at work in.
    """
    objects = given or Given()
    request = None if objects.named() else request_of(settings)
    try:
        plan_of(study, settings, objects)
    except InputError:
        # The weights may turn out to be the paper's, which come with an SAE.
        if objects.model is not None or not may_be_papers(settings):
            raise

    asked = settings.model_dump(mode="json", exclude_defaults=True) | {"study": settings.study}
    unknown = {*settings.UNRESOLVED, *DECIDES_NO_NUMBER, *settings.hang_on_weights}
    unknown |= {"engine", "revision", "bos"}
    if getattr(torch, settings.dtype) in HALF:
        # Which a processor that is slow at it computes in float32.
        unknown.add("dtype")
    opening.check(settings.model_dump(mode="json", exclude=unknown))
    if kept is None:
        by_name = objects.model is None
        fast = in_a_fast_format(settings, opening.begun()) if by_name else settings
        context = open_context(study, fast, objects)
    else:
        context = _grown(kept, settings.samples)
    if opening.role == "owner":
        for name, why in context.constants["left_out"].items():
            tell(f"left out: {name}: {why}")
    resolved = {**context.resolved(), "engine": context.check.engine}
    record = shareable(_provenance(context, resolved, asked))
    # The same prompts, for another reason, are the same run.
    prompts = {k: v for k, v in resolved["prompts_identity"].items() if k != BOS_REASON}
    resolved["prompts_identity"] = prompts
    folder = opening.open({"asked": asked, "resolved": resolved}, record)
    run = StudyRun(study, plan_of(study, context.settings, objects), context, folder)
    run.asked = settings
    if opening.role == "owner":
        try:
            with folder.alone():
                run.create_datasets()
                # Files that were changed while they were read belong to no request.
                is_known = request is not None and request.tells_all_of(resolved)
                is_known = is_known and request_of(settings) == request
                run.add_request(request if is_known else None)
        except BaseException:
            folder.close()
            raise
    return run


def _grown(context: Context[Any], samples: int) -> Context[Any]:
    """The context with more samples; all that was made of everything else is kept."""
    for one in (context, *context._places.values()):
        one.settings = one.settings.model_copy(update={SAMPLES: samples})
    # It also says whether there are prompts for all of them.
    context.__dict__.pop("order", None)
    _ = context.order
    return context


def open_context(study: Study, settings: SiteSettings, given: Given | None = None) -> Context[Any]:
    """What the parts of a study draw on, with the constants that it measures first.

    Raises:
        InputError: Settings that do not fit.
    """
    objects = given or Given()
    context = Context.open(
        settings, lambda decided: plan_of(study, decided, objects).needs, objects
    )
    plan = plan_of(study, context.settings, objects)
    # Before anything is measured by them: enough prompts, an exact suffix, an SAE to be trusted.
    _ = context.order, context.check, context.sae_fit
    _check_saes_of_metrics(plan, context)
    context.constants |= {
        "left_out": dict(plan.left_out),
        "parts": {part.name: part.definition for part in plan.datasets},
        **(study.prepare(context) if study.prepare else {}),
    }
    return context


def _check_saes_of_metrics(plan: Plan, context: Context[Any]) -> None:
    """Refuse metrics of an SAE that is another model's, or does badly on the run's prompts.

    Raises:
        InputError: One does.
    """
    model, settings = context.model, context.settings
    for part in plan.parts:
        for metric in part.metrics_of(context) if isinstance(part, CurvePart) else ():
            if metric.sae is not None:
                check_belongs(metric.sae, model, settings)
                there = context.at(context.resolve((metric.read or context.read).name))
                read = there.activations_of(context.pool_rows[:MEASURED_ON])
                trusted_quality(metric.sae, model, read, settings)


def _provenance(
    context: Context[Any], resolved: dict[str, Any], asked: dict[str, Any]
) -> dict[str, Any]:
    """What is to be known of one start, beside what the configuration says."""
    return {
        **provenance(f"a study from Python: {asked}"),
        **device_facts(context.model.device),
        "dtype": context.settings.dtype,
        "engine": context.check.engine,
        "self_check": {
            "max_relative_error": context.check.max_relative_error,
            "tolerance": context.check.tolerance,
            "noise_floor": context.check.noise_floor,
            "note": context.check.note,
        },
        "memory_budget": memory_budget(context.model.device),
        "model": resolved["model_identity"],
        "sae": resolved["sae_identity"],
        "sae_fit": context.sae_fit,
        "activations": asdict(tails(context.pool)) if "moments" in context.needs else None,
        "prompts": resolved["prompts_identity"],
        "seed": context.settings.seed,
    }
