"""One call from prompts and points to outputs, for notebooks and small studies."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from steppe.core.errors import InputError
from steppe.core.progress import progress
from steppe.core.sites import Site, as_site
from steppe.models.model import Model
from steppe.propagation.forward import as_tokens
from steppe.propagation.outputs import Outputs
from steppe.propagation.prefix import build_prefix
from steppe.propagation.self_check import require_self_check
from steppe.propagation.suffix import Suffix

LAST = "blocks.last.hook_resid_post"


def propagate(
    model: Model,
    tokens: Any,
    site: Site | str,
    points: Tensor,
    read: str | Site | list[str | Site] = LAST,
    logits: bool = False,
) -> Outputs:
    """Place points at a site, one set per prompt, and return what comes out.

    All outputs are held in memory at once; `propagate_in_batches` hands them out as they come.

    Args:
        model: The model; on first use at a depth the suffix is checked against a full forward.
        tokens: Token ids ``(prompt, position)``.
        site: Where points are placed.
        points: ``(prompt, step, d_model)`` in the model's coordinates;
            ``(prompt, step, position, d_model)`` when the site's position is ``"all"``. In half
            precision the steps between neighbours are rounded instead of the points.
        read: The site, or sites, to read.
        logits: Whether to return logits.

    Returns:
        Residuals ``(prompt, step, d_model)`` by the name of each read site, and logits
        ``(prompt, step, vocab)``; with a position axis after ``step`` when the site is ``"all"``.

    Raises:
        InputError: Sites, tokens or points do not fit the model, or the self-check failed.
    """
    site, reads = as_site(site), _parse_reads(read)
    ids = as_tokens(model, tokens, axes=2)
    check_prompts(model, site, ids, points)
    require_self_check(model, site, ids.shape[1])
    collected = []
    with Suffix(model, site, read=reads, logits=logits) as suffix:
        for row, path in progress(zip(ids, points, strict=True), "prompts", total=len(ids)):
            prefix = build_prefix(model, row, site)
            collected.append(suffix(prefix, path, path_length=len(path)))
    residuals = {
        one.name: torch.stack([outputs.residuals[one.name] for outputs in collected])
        for one in reads
    }
    found = [outputs.logits for outputs in collected if outputs.logits is not None]
    return Outputs(residuals, torch.stack(found) if logits else None)


@dataclass(frozen=True, eq=False)
class Batch:
    """Some points of one prompt, and what came out.

    Attributes:
        prompt: Index of the prompt.
        steps: Which of its points.
        outputs: What came out. Row 0 is the prompt's point 0, computed in this batch, so that it
            can be the reference of the others; from the second batch of a prompt on it comes in
            addition to ``steps``.
    """

    prompt: int
    steps: slice
    outputs: Outputs


def propagate_in_batches(
    model: Model,
    tokens: Any,
    site: Site | str,
    points: Iterable[Tensor],
    read: str | Site | list[str | Site] = LAST,
    logits: bool = False,
) -> Iterator[Batch]:
    """Like `propagate`, for what does not fit in memory: nothing is kept once it was handed out.

    Args:
        model: The model.
        tokens: Token ids ``(prompt, position)``.
        site: Where points are placed.
        points: One ``(step, d_model)`` per prompt, or ``(step, position, d_model)``; they may be
            made one by one, by a generator.
        read: The site, or sites, to read.
        logits: Whether to return logits.

    Yields:
        Every prompt's points in order, in as many batches as the memory budget asks for.

    Raises:
        InputError: Sites, tokens or points do not fit the model, or the self-check failed.
    """
    site, reads = as_site(site), _parse_reads(read)
    ids = as_tokens(model, tokens, axes=2)
    require_self_check(model, site, ids.shape[1])
    with Suffix(model, site, read=reads, logits=logits) as suffix:
        for prompt, (row, path) in enumerate(zip(ids, points, strict=True)):
            prefix = build_prefix(model, row, site)
            for steps, outputs in suffix.batches(prefix, path, path_length=len(path)):
                yield Batch(prompt, steps, outputs)


def _parse_reads(read: str | Site | list[str | Site]) -> list[Site]:
    return [as_site(one) for one in (read if isinstance(read, list) else [read])]


def check_prompts(model: Model, site: Site, tokens: Tensor, points: Tensor) -> None:
    """Refuse points that are not one set of rows of the residual stream per prompt.

    Args:
        model: The model.
        site: Where the points are placed.
        tokens: ``(prompt, position)``.
        points: What was given.

    Raises:
        InputError: They have another shape.
    """
    inner = (tokens.shape[1],) if site.position == "all" else ()
    wanted = (len(tokens), *inner, model.d_model)
    found = tuple(points.shape)
    if len(found) != len(wanted) + 1 or (found[0], *found[2:]) != wanted:
        raise InputError(
            "points",
            got=f"shape {found} for {len(tokens)} prompts",
            expected=f"({len(tokens)}, step, {', '.join(map(str, wanted[1:]))})",
            fix="pass one set of points per prompt, in the residual stream's width",
        )
