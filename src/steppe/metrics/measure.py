"""From points at a site to labelled curves: propagate each path and reduce it at once."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
import xarray as xr
from numpy.typing import NDArray
from torch import Tensor

from steppe.core import axes
from steppe.core.errors import InputError
from steppe.core.progress import progress
from steppe.core.sites import Site, as_site
from steppe.metrics.catalogue import Metric, find_metrics, read_sites
from steppe.models.model import Model
from steppe.propagation.forward import as_tokens
from steppe.propagation.outputs import Outputs
from steppe.propagation.plan import of_device, prompts_together
from steppe.propagation.prefix import Prefix, build_prefix
from steppe.propagation.propagate import LAST, check_prompts
from steppe.propagation.self_check import require_self_check
from steppe.propagation.suffix import Suffix

# Rows of one batch when several paths share it, and entries of its widest tensor: what saves the
# fixed costs of a forward pass and still stays in a processor's caches, or a GPU's memory.
_ROWS = {"cpu": 512, "cuda": 2**14}
_ENTRIES = {"cpu": 3 * 2**22, "cuda": 2**28}


def measure_path(
    suffix: Suffix,
    prefix: Prefix,
    points: Tensor,
    metrics: Sequence[str | Metric],
    read: Site | str,
) -> dict[str, NDArray[np.float32]]:
    """Propagate one path of one prompt and reduce it to one number per point.

    The path is one batch, or several with the first point at the head of each when memory is short,
    and the reference is row 0 of the same batch: the numbers depend on nothing else that runs.

    Args:
        suffix: Open, reading ``read``, with logits if a metric needs them (see `needs_logits`).
        prefix: The prompt.
        points: ``(step, d_model)``, or ``(step, position, d_model)`` at all positions.
        metrics: Names out of the catalogue.
        read: The site that residual metrics look at, as given to the suffix.

    Returns:
        By metric: float32 ``(step,)``, or ``(step, position)`` at all positions.

    Raises:
        InputError: An unknown metric, or inputs that do not fit the suffix.
    """
    curves = measure_paths(suffix, prefix, points[None], metrics, read)
    return {name: curve[0] for name, curve in curves.items()}


def measure_paths(
    suffix: Suffix,
    prefix: Prefix,
    paths: Tensor,
    metrics: Sequence[str | Metric],
    read: Site | str,
) -> dict[str, NDArray[np.float32]]:
    """Propagate paths of a prompt, or of several, and reduce each to one number per point.

    Short paths of a narrow model run side by side in one batch, as many as `paths_at_once` says:
    that saves the fixed costs of a forward pass. Every path keeps a reference of its own, row 0.

    Args:
        suffix: Open, reading ``read``, with logits if a metric needs them (see `needs_logits`).
        prefix: The prompt, or several.
        paths: ``([prompt,] path, step, d_model)``, with a position axis before ``d_model`` at all
            positions.
        metrics: Names out of the catalogue.
        read: The site that residual metrics look at, as given to the suffix.

    Returns:
        By metric: float32 ``([prompt,] path, step)``, with a position axis at all positions.

    Raises:
        InputError: An unknown metric, or inputs that do not fit the suffix.
    """
    chosen, read = [one.of(suffix.model) for one in find_metrics(metrics)], as_site(read)
    steps = paths.shape[prefix.tokens.ndim]
    found: dict[str, list[Tensor]] = {metric.name: [] for metric in chosen}
    for prompts, group in _groups(prefix, paths, paths_at_once(suffix, prefix, steps)):
        pieces: dict[str, list[Tensor]] = {one.name: [] for one in chosen if one.whole}
        for first, outputs in path_outputs(suffix, prompts, group):
            for metric in chosen:
                source = source_of(metric, outputs, read)
                if metric.whole:
                    pieces[metric.name].append(source[first:])
                    continue
                for path in torch.split(source, steps):
                    found[metric.name].append(values_of(metric, path)[first:])
        for metric in (one for one in chosen if one.whole):
            paths_of_group = torch.split(torch.cat(pieces[metric.name]), steps)
            found[metric.name] += [values_of(metric, path) for path in paths_of_group]
    axes_kept = paths.shape[: prefix.tokens.ndim + 1]
    measured = {name: _stacked(values, axes_kept) for name, values in found.items()}
    for metric in chosen:
        if metric.divisor is not None:
            rest = _divisors(metric, suffix.model, prefix, paths, metric.read or read)
            # 0 / 0 at the base, and wherever nothing is predicted: undefined.
            with np.errstate(divide="ignore", invalid="ignore"):
                ratio = np.where(rest > 0, measured[metric.name] / rest, np.nan)
            measured[metric.name] = ratio.astype(np.float32)
    return measured


def _divisors(
    metric: Metric, model: Model, prefix: Prefix, paths: Tensor, site: Site
) -> NDArray[np.float32]:
    """What a metric is divided by, ``([prompt,] path, step)``."""
    assert metric.divisor is not None
    if prefix.tokens.ndim == 1:
        return metric.divisor(model, prefix, paths, site).cpu().numpy()
    return np.stack([_divisors(metric, model, prefix[i], own, site) for i, own in enumerate(paths)])


def _groups(prefix: Prefix, paths: Tensor, at_once: int) -> Iterator[tuple[Prefix, Tensor]]:
    """What runs in one batch: some paths of a prompt, or all of some prompts, path after path."""
    if prefix.tokens.ndim == 1:
        yield from ((prefix, group) for group in torch.split(paths, at_once))
        return
    together = at_once // paths.shape[1]
    if together < 2:
        for prompt, own in enumerate(paths):
            yield from _groups(prefix[prompt], own, at_once)
        return
    for first in range(0, len(paths), together):
        some = slice(first, first + together)
        yield prefix[some], paths[some].flatten(0, 1)


def path_outputs(suffix: Suffix, prefix: Prefix, group: Tensor) -> Iterator[tuple[int, Outputs]]:
    """Outputs of some paths at once, or of one path in batches, and the first row that is new.

    Args:
        suffix: Open.
        prefix: The prompt, or several.
        group: ``(path, step, d_model)``, as many as `paths_at_once` says.
    """
    if len(group) > 1:
        yield 0, suffix(prefix, group.flatten(0, 1), path_length=group.shape[1])
        return
    if prefix.tokens.ndim == 2:
        prefix = prefix[0]
    for steps, outputs in suffix.batches(prefix, group[0], path_length=group.shape[1]):
        yield int(steps.start > 0), outputs


def paths_at_once(suffix: Suffix, prefix: Prefix, steps: int) -> int:
    """How many paths of a prompt run in one batch. It depends on shapes alone.

    Args:
        suffix: Which model, and whether logits are read.
        prefix: The prompt.
        steps: Points of a path.
    """
    paths = max(1, rows_at_once(suffix) // (steps * prefix.positions))
    # When memory is short, a path alone is cut more finely than several are.
    return paths if suffix.fits(prefix, paths * steps) else 1


def rows_at_once(suffix: Suffix) -> int:
    """How many rows, points times positions, a batch of several paths has at most."""
    entries = suffix.model.d_vocab if suffix.logits else 4 * suffix.model.d_model
    device = suffix.model.device
    return min(of_device(_ROWS, device), of_device(_ENTRIES, device) // entries)


def needs_logits(metrics: Sequence[str | Metric]) -> bool:
    """Whether one of the metrics looks at logits.

    Raises:
        InputError: An unknown metric.
    """
    return any(metric.reads == "logits" for metric in find_metrics(metrics))


def measure(
    model: Model,
    tokens: Any,
    site: Site | str,
    points: Tensor,
    metrics: Sequence[str | Metric],
    read: Site | str | Sequence[Site | str] = LAST,
) -> xr.Dataset:
    """Propagate one path per prompt and return labelled curves.

    Args:
        model: The model; checked on its first use.
        tokens: Token ids ``(prompt, position)``.
        site: Where points are placed.
        points: ``(prompt, step, d_model)`` in the model's coordinates.
        metrics: Names of metrics, or metrics themselves.
        read: The site that metrics of the residual stream look at; with several, each is measured
            at all of them in the same pass, and called ``l2@<site>``.

    Returns:
        One float32 variable per metric with dims ``(sample, step)`` (and ``position`` when the
        site's position is ``"all"``), its unit in ``attrs``.

    Raises:
        InputError: Anything that does not fit the model, or the self-check failed.
    """
    site = as_site(site)
    chosen, first = _at_sites([one.of(model) for one in find_metrics(metrics)], read)
    ids = as_tokens(model, tokens, axes=2)
    check_prompts(model, site, ids, points)
    require_self_check(model, site, ids.shape[1])
    curves = []
    reads = read_sites(chosen, first)
    with Suffix(model, site, read=reads, logits=needs_logits(chosen)) as suffix:
        together = prompts_together(model, ids.shape[1])
        chunks = list(zip(torch.split(ids, together), torch.split(points, together), strict=True))
        for prompts, paths in progress(chunks, "paths", total=len(chunks)):
            prefix = build_prefix(model, prompts, site)
            curves.append(measure_paths(suffix, prefix, paths[:, None], chosen, first))
    dims = (axes.SAMPLE, axes.STEP, axes.POSITION)[: points.ndim - 1]
    return xr.Dataset(
        {
            metric.name: (
                dims,
                np.concatenate([curve[metric.name][:, 0] for curve in curves]),
                {"unit": metric.unit, "long_name": metric.long_name},
            )
            for metric in chosen
        },
        attrs={
            "model": model.name,
            # Not "coordinates": xarray takes that attribute for its own.
            "residual_coordinates": model.coordinates,
            "site": site.name,
            "position": str(site.position),
            "read": first.name,
        },
    )


def _at_sites(
    chosen: list[Metric], read: Site | str | Sequence[Site | str]
) -> tuple[list[Metric], Site]:
    """The metrics, each at every read site, and the first of these sites."""
    if isinstance(read, Site | str):
        return chosen, as_site(read)
    sites = list(dict.fromkeys(as_site(one) for one in read))
    if not sites:
        return chosen, as_site(LAST)
    everywhere = [
        replace(one, name=f"{one.name}@{site.name}", read=site)
        for one in chosen
        if one.reads == "residual" and one.read is None
        for site in sites
    ]
    return [*everywhere, *(one for one in chosen if one.reads == "logits" or one.read)], sites[0]


def source_of(metric: Metric, outputs: Outputs, read: Site) -> Tensor:
    """What a metric looks at of a suffix' outputs; at ``read`` if it names no site of its own."""
    site = metric.read or read
    source = outputs.logits if metric.reads == "logits" else outputs.residuals.get(site.name)
    if source is None:
        raise _not_read(metric, site)
    return source


def values_of(metric: Metric, outputs: Tensor) -> Tensor:
    """A metric's numbers for the outputs of one path, ``(step, ...)``, float32; step 0 is the base.

    Raises:
        InputError: A metric of somebody's own returned something else.
    """
    values = metric.measure(outputs)
    if values.shape != outputs.shape[:-1]:
        raise InputError(
            f"metric {metric.name!r}",
            got=f"shape {tuple(values.shape)} from outputs of shape {tuple(outputs.shape)}",
            expected=f"one number per point: {tuple(outputs.shape[:-1])}",
            fix="reduce the last axis, and keep the others",
        )
    return values.float()


def _stacked(values: Sequence[Tensor], shape: Sequence[int]) -> NDArray[np.float32]:
    """Pieces of paths, in order, as ``(path, step, ...)``: one transfer for all."""
    rows = torch.cat(list(values))
    return rows.view(*shape, *rows.shape[1:]).cpu().numpy()


def _not_read(metric: Metric, read: Site) -> InputError:
    return InputError(
        f"metric {metric.name!r}",
        got="a suffix that returns no logits" if metric.reads == "logits" else f"no {read.name}",
        expected=f"a suffix that returns what the metric looks at ({metric.reads})",
        fix="open the suffix with read=[site], logits=True",
    )
