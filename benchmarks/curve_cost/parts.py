"""What is measured: the ways beside each other, long prompts, all positions, families, growth."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace

import numpy as np
import torch
from benchmarks.curve_cost import shapes
from benchmarks.curve_cost.table import Figure, Report, machine
from benchmarks.curve_cost.timing import bare_multiplication, best_seconds, matrices
from benchmarks.curve_cost.ways import (
    LAST,
    Size,
    Way,
    Work,
    engine_ways,
    full_ways,
    lens_ways,
    work_of,
)

from steppe.core.names import find
from steppe.metrics import measure, measure_paths
from steppe.models import Model
from steppe.propagation import Suffix, build_prefix

L2 = ("l2",)
ALL = ("l2", "kl", "cosine")
BARE = "the matrices alone"
_LENGTHS = (10, 32, 128, 512, 1024)
_STEPS = (11, 26, 51, 101, 201, 401)
_PROMPTS = (1, 4, 16)
_TOGETHER, _PATHS = 20, 5
_WIDTHS = (256, 512, 768, 1024)
# A full forward pass over a long prompt costs as much per point however many there are.
_FEW = 4


@dataclass(frozen=True)
class Bench:
    """What the parts work on.

    Attributes:
        model: The model that is timed.
        name: What it is called.
        device: The device asked for.
    """

    model: Model
    name: str
    device: str


def ways(bench: Bench) -> Iterator[Figure]:
    """One curve at layer 1 after 10 tokens, 101 points, by every way, in turns."""
    size = Size(layer=min(1, bench.model.n_layers - 1))
    for metrics in (L2, ALL):
        work = work_of(bench.model, size, metrics)
        with ExitStack() as stack:
            found = {**lens_ways(work), **full_ways(work)}
            found |= engine_ways(work, half=True, stack=stack)
            yield from _compared("ways", work, found)


def long_prompt(bench: Bench) -> Iterator[Figure]:
    """A prompt of 512 tokens: a full forward pass per point against the engines' points."""
    length = min(512, bench.model.context_length or 512)
    work = work_of(bench.model, Size(length=length), L2)
    few = replace(work, points=work.points[:_FEW])
    with ExitStack() as stack:
        engines = engine_ways(work, half=True, stack=stack)
        seconds = best_seconds(
            {**full_ways(few), **engines}, f"{length} tokens", bench.model.device
        )
    full = set(full_ways(few))
    per_point = {
        name: value / (_FEW if name in full else len(work.points))
        for name, value in seconds.items()
    }
    slowest = max(per_point.values())
    for name, value in per_point.items():
        what = f"{name}, per point"
        yield Figure(f"prompt of {length} tokens", what, "l2", value, ratio=slowest / value)


def everywhere(bench: Bench) -> Iterator[Figure]:
    """All positions moved, from the middle layer on, 10 points of 32 tokens."""
    size = Size(32, 11, bench.model.n_layers // 2, everywhere=True)
    for metrics in (L2, ("l2", "kl")):
        work = work_of(bench.model, size, metrics)
        with ExitStack() as stack:
            found = {**full_ways(work), **engine_ways(work, half=True, stack=stack)}
            yield from _compared(f"all positions from layer {size.layer}", work, found)


def families(bench: Bench) -> Iterator[Figure]:
    """Other architectures of GPT-2 small's size, random weights, by the engines."""
    for name in shapes.SHAPES:
        if name != bench.name:
            work = work_of(shapes.load(name, device=bench.device), Size(), L2)
            with ExitStack() as stack:
                yield from _compared(name, work, engine_ways(work, half=False, stack=stack))


def growth(bench: Bench) -> Iterator[Figure]:
    """Seconds per curve as steps, prompts, layer and prompt length grow."""
    model = bench.model
    layer = min(1, model.n_layers - 1)
    for steps in _STEPS:
        yield _alone("steps", f"{steps} points", work_of(model, Size(10, steps, layer), L2))
    for place in range(0, model.n_layers, max(1, model.n_layers // 4)):
        yield _alone("layer", f"from layer {place}", work_of(model, Size(layer=place), L2))
    for length in (one for one in _LENGTHS if one <= (model.context_length or one)):
        yield _alone("prompt length", f"{length} tokens", work_of(model, Size(length), L2))
    for count in _PROMPTS:
        yield _prompts(work_of(model, Size(layer=layer), L2), count)


def together(bench: Bench) -> Iterator[Figure]:
    """Five paths from each of twenty prompts, prefixes and all: one by one, and as they fit."""
    for metrics in (L2, ("l2", "kl")):
        size = Size(layer=min(1, bench.model.n_layers - 1))
        yield from _together(work_of(bench.model, size, metrics))


def _together(work: Work) -> Iterator[Figure]:
    model, metrics = work.model, " ".join(work.metrics)
    tokens = torch.stack([work.tokens.roll(place) for place in range(_TOGETHER)])
    paths = work.points.cpu().expand(_TOGETHER, _PATHS, *work.points.shape)
    with Suffix(model, work.site, read=[LAST], logits=work.needs_logits) as suffix:

        def curves(some: slice) -> object:
            prefix = build_prefix(model, tokens[some], work.site)
            return measure_paths(suffix, prefix, paths[some], list(work.metrics), LAST)

        found: dict[str, Callable[[], object]] = {
            "one prompt at a time": lambda: [
                curves(slice(place, place + 1)) for place in range(_TOGETHER)
            ],
            "prompts together": lambda: curves(slice(None)),
            BARE: bare_multiplication(
                matrices(model, work.site.layer, unembedding=work.needs_logits),
                paths[..., 0].numel(),
            ),
        }
        seconds = best_seconds(found, f"together: {metrics}", model.device)
    count, bare = _TOGETHER * _PATHS, seconds.pop(BARE)
    for what, value in seconds.items():
        note = f"{count / value:.0f} curves per second"
        ratio = max(seconds.values()) / value
        yield Figure("together, per curve", what, metrics, value / count, bare / value, ratio, note)


def width(bench: Bench) -> Iterator[Figure]:
    """Seconds per curve of GPT-2-shaped models of several widths, random weights."""
    for wide in _WIDTHS:
        work = work_of(shapes.gpt2_of_width(wide, device=bench.device), Size(), L2)
        yield _alone("model width", f"d_model {wide}", work)


PARTS: dict[str, Callable[[Bench], Iterator[Figure]]] = {
    "ways": ways,
    "long": long_prompt,
    "everywhere": everywhere,
    "families": families,
    "growth": growth,
    "width": width,
    "together": together,
}


def run(
    model: str,
    parts: Sequence[str] = (),
    *,
    device: str = "auto",
    dtype: str = "float32",
    threads: int | None = None,
) -> Report:
    """Measure.

    Args:
        model: One of `SHAPES` or `LARGE`, ``demo``, a hub id or a folder.
        parts: Names out of `PARTS`; none for all of them.
        device: As for `load_model`.
        dtype: As for `load_model`; ``tf32``: float32, multiplied in TF32.
        threads: CPU threads; None: torch's own choice.

    Raises:
        InputError: No such part or model.
    """
    chosen = [find(name, PARTS, "--part", "leave it out to measure all") for name in parts]
    if threads is not None:
        torch.set_num_threads(threads)
    stored = "float32" if dtype == "tf32" else dtype
    bench = Bench(shapes.load(model, device=device, dtype=stored), model, device)
    precision = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("high" if dtype == "tf32" else "highest")
    try:
        figures = [figure for part in chosen or PARTS.values() for figure in part(bench)]
    finally:
        torch.set_float32_matmul_precision(precision)
    facts = machine(bench.model.device) | {"format": dtype}
    return Report(model, facts, tuple(figures))


def _compared(part: str, work: Work, found: dict[str, Way]) -> Iterator[Figure]:
    """Time ways in turns, beside the matrices alone, and say how far their curves differ."""
    metrics, device = " ".join(work.metrics), work.model.device
    curves = {name: way() for name, way in found.items()}
    seconds = best_seconds({**found, BARE: _bare(work)}, f"{part}: {metrics}", device)
    bare = seconds.pop(BARE)
    slowest, reference = max(seconds.values()), curves[next(iter(curves))]
    for name, value in seconds.items():
        note = f"differs by {_difference(curves[name], reference):.0e}"
        yield Figure(part, name, metrics, value, bare / value, slowest / value, note)
    yield Figure(part, BARE, metrics, bare, 1.0, note=_rate(work, bare))


def _alone(part: str, what: str, work: Work) -> Figure:
    """The fast engine, beside the matrices alone."""
    with ExitStack() as stack:
        way = engine_ways(work, half=False, stack=stack)["fast engine"]
        both = best_seconds({part: way, BARE: _bare(work)}, what, work.model.device)
    return Figure(part, what, "l2", both[part], both[BARE] / both[part])


def _prompts(work: Work, count: int) -> Figure:
    """Whole curves, prefixes and all."""
    tokens = work.tokens.expand(count, -1)
    points = work.points.expand(count, *work.points.shape).cpu()

    def curves() -> object:
        return measure(work.model, tokens, work.site, points, list(work.metrics))

    name = f"{count} prompts, prefix and all, per curve"
    seconds = best_seconds({name: curves}, name, work.model.device)[name]
    prefix = {name: lambda: build_prefix(work.model, work.tokens, work.site)}
    alone = best_seconds(prefix, name, work.model.device)[name]
    note = f"of it {1e3 * alone:.1f} ms for the prefix"
    return Figure("prompts", name, "l2", seconds / count, note=note)


def _bare(work: Work) -> Callable[[], None]:
    found = matrices(work.model, work.site.layer, unembedding=work.needs_logits)
    return bare_multiplication(found, work.points[..., 0].numel())


def _rate(work: Work, seconds: float) -> str:
    found = matrices(work.model, work.site.layer, unembedding=work.needs_logits)
    operations = 2 * work.points[..., 0].numel() * sum(matrix.numel() for matrix in found)
    return f"{operations / seconds / 1e9:.0f} GFLOP/s"


def _difference(found: dict[str, np.ndarray], reference: dict[str, np.ndarray]) -> float:
    """Largest difference of two ways' curves over the largest entry, over all metrics."""
    return max(
        float(np.abs(found[name] - reference[name]).max() / np.abs(reference[name]).max())
        for name in reference
    )
