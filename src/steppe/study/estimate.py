"""What will a run measure, in how many points, in how much memory, and how long will it take?"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from time import perf_counter
from typing import Any

from steppe.core.errors import InputError
from steppe.core.progress import progress
from steppe.models.loading import parse_device, parse_dtype
from steppe.models.stated import stated_config
from steppe.propagation.counting import counted_points
from steppe.propagation.memory import Memory, Workload, expected_memory
from steppe.settings.before_weights import check_before_weights
from steppe.settings.study_settings import SiteSettings
from steppe.study.context import Context
from steppe.study.part import SHARD_SIZE, Part, WholePart, points_of
from steppe.study.running import open_context
from steppe.study.starting import in_a_fast_format
from steppe.study.study import Study

# Of a sample that takes less, more are measured: so short a time says little. One that takes long
# is enough, though the first also makes what later ones share.
_ENOUGH, _LONG = 0.5, 10.0


@dataclass(frozen=True)
class PartEstimate:
    """What is known of one dataset before it is measured.

    Attributes:
        name: Its name.
        samples: How many samples it has; None: not known yet.
        points: How many activations are placed and run on, in all samples; None: not known yet.
        seconds: How long they take, from some of them; None: not measured.
    """

    name: str
    samples: int | None
    points: int | None
    seconds: float | None = None


@dataclass(frozen=True)
class Estimate:
    """What a run will do and take.

    Attributes:
        study: Its name.
        model: The model, as asked for.
        samples: Base prompts.
        parts: What is measured, in order.
        left_out: What is not, and why.
        memory: Bytes beside those of Python and its libraries; None where the model's files do not
            state its shape.
        preparing: Seconds before the first sample: weights, moments, checks; None: not measured.
    """

    study: str
    model: str
    samples: int
    parts: tuple[PartEstimate, ...]
    left_out: Mapping[str, str]
    memory: Memory | None
    preparing: float | None = None

    @property
    def seconds(self) -> float | None:
        """Of one process, before tables and figures; None: not measured."""
        if self.preparing is None:
            return None
        return self.preparing + sum(part.seconds or 0.0 for part in self.parts)

    def as_dict(self) -> dict[str, Any]:
        """Plain data."""
        memory = None if self.memory is None else asdict(self.memory) | {"total": self.memory.total}
        return {**asdict(replace(self, memory=None)), "memory": memory, "seconds": self.seconds}

    def __str__(self) -> str:
        lines = [f"{self.study} on {self.model}: {self.samples} samples", ""]
        lines.append(f"  {'measured':<18}{'samples':>8}{'points':>14}{'time':>10}")
        for part in self.parts:
            samples = "" if part.samples is None else part.samples
            points = "" if part.points is None else f"{part.points:,}"
            seconds = "" if part.seconds is None else _duration(part.seconds)
            lines.append(f"  {part.name:<18}{samples:>8}{points:>14}{seconds:>10}")
        lines += [f"  left out: {name}: {why}" for name, why in self.left_out.items()]
        if self.memory is not None:
            own = {name: size for name, size in asdict(self.memory).items() if size}
            told = ", ".join(f"{name} {_size(size)}" for name, size in own.items())
            lines += ["", f"memory beside Python's own: {_size(self.memory.total)} ({told})"]
        if self.preparing is not None and self.seconds is not None:
            before = f"{_duration(self.preparing)} of it before the first sample"
            lines.append(
                f"time of one process: {_duration(self.seconds)}, {before}; then the report"
            )
        return "\n".join(lines)


def estimate(study: Study, settings: SiteSettings, *, timed: bool = False) -> Estimate:
    """State what a run will do; no weight is read unless time is asked for.

    Args:
        study: The study.
        settings: What was asked.
        timed: Whether to open the model and measure a few samples of every part: time follows from
            them, and all points are counted.

    Raises:
        InputError: Settings that do not fit, or nothing is left to measure.
    """
    check_before_weights(settings)
    settings = in_a_fast_format(settings)
    plan = study.plan(settings)
    parts = tuple(_untimed(part, settings) for part in plan.datasets)
    found = Estimate(
        study.name, settings.model, settings.samples, parts, plan.left_out, _memory(settings)
    )
    if not timed:
        return found
    started = perf_counter()
    context = open_context(study, settings)
    for name in {"pool", "moments"} & context.needs:
        getattr(context, name)
    before = perf_counter() - started
    plan = study.plan(context.settings)
    timings = [_timed(part, context) for part in progress(plan.datasets, "a little of every part")]
    parts = tuple(part for part in timings if part is not None)
    return replace(
        found,
        samples=context.settings.samples,
        parts=parts,
        left_out=plan.left_out,
        preparing=before,
    )


def _untimed(part: Part | WholePart, settings: Any) -> PartEstimate:
    return PartEstimate(part.name, None, points_of(part, settings))


def _timed(part: Part | WholePart, context: Context[Any]) -> PartEstimate | None:
    """Measure some samples of a part: one that is not counted, then so many that time tells."""
    if isinstance(part, WholePart):
        with counted_points() as points:
            started = perf_counter()
            part.function(context)
        return PartEstimate(part.name, None, points.count, perf_counter() - started)
    spec = part.spec(context)
    if spec is None:
        return None
    total = spec.samples
    first = 0
    for size in (1, 2, SHARD_SIZE):
        some = range(first, min(first + size, total))
        if not some:
            break
        with counted_points() as points:
            started = perf_counter()
            part.measure(context, some)
            seconds = perf_counter() - started
        first, share = some.stop, total / len(some)
        if seconds > (_LONG if size == 1 else _ENOUGH):
            break
    return PartEstimate(part.name, total, round(points.count * share), seconds * share)


def _memory(settings: SiteSettings) -> Memory | None:
    config = stated_config(settings.model, settings.revision)
    if config is None:
        return None
    layers = int(config.get_text_config(decoder=True).num_hidden_layers)
    device = parse_device(settings.device)
    try:
        return expected_memory(
            config,
            Workload(
                settings.site_in(layers),
                settings.prompt_length,
                prompts=SHARD_SIZE,
                points=getattr(settings, "n_points", 101),
                dtype=parse_dtype(settings.dtype),
                on_cpu=device.type == "cpu",
            ),
        )
    except InputError:  # a family whose blocks are told by its weights alone
        return None


def _size(count: int) -> str:
    return f"{count / 1e9:.1f} GB" if count >= 1e8 else f"{count / 1e6:.0f} MB"


def _duration(seconds: float) -> str:
    minutes, hours = seconds / 60, seconds / 3600
    if hours >= 1.5:
        return f"{hours:.1f} h"
    return f"{minutes:.0f} min" if minutes >= 2 else f"{seconds:.0f} s"
