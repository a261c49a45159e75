"""What of a prompt is the same for every point at a site: computed once, then shared.

With causal attention, moving the activation at one position changes nothing at earlier positions or
layers. So their keys and values, and the clean residual stream of the later positions at the site,
are computed once per prompt.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any, Literal
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, nn
from transformers import DynamicCache
from transformers.cache_utils import DynamicLayer, DynamicSlidingWindowLayer

from steppe.core.errors import InputError
from steppe.core.sites import Site, as_site, require_stream
from steppe.propagation.forward import as_tokens, start_of, stream_at, to_site, values_at
from steppe.propagation.frozen_cache import freeze
from steppe.propagation.replacements import replace_forward, replacements
from steppe.subject.components import find_tap
from steppe.subject.model import Subject

# What FrozenLayer stands in for; other kinds of layer carry a running state or share a cache.
_PLAIN_LAYERS = (DynamicLayer, DynamicSlidingWindowLayer)
_not_fast: WeakKeyDictionary[nn.Module, str] = WeakKeyDictionary()


@dataclass(frozen=True, eq=False)
class Prefix:
    """One prompt, prepared for points at one site.

    Attributes:
        site: The site, its layer counted from 0.
        tokens: int64 ``(position,)``, the whole prompt.
        start: The first position that every point runs again; 0 for a site at all positions.
        place: Where among these the points are placed; 0 but for the engine ``full``.
        base: The clean activation at the site, float32, in the subject's coordinates:
            ``(d_model,)``, or ``(position, d_model)`` when the site's position is ``"all"``.
        rows: The clean residual stream at the site from ``start`` on, raw: ``(position, d_model)``.
        cache: Keys and values of the tokens before ``start``; None when there are none.
    """

    site: Site
    tokens: Tensor
    start: int
    place: int
    base: Tensor
    rows: Tensor
    cache: DynamicCache | None

    @property
    def length(self) -> int:
        """Number of tokens in the prompt."""
        return int(self.tokens.shape[0])


def build_prefix(subject: Subject, tokens: Any, site: Site | str) -> Prefix:
    """Compute what all points at a site share.

    Args:
        subject: The model.
        tokens: One prompt's token ids, ``(position,)``.
        site: Where points will be placed.

    Raises:
        InputError: The site or the tokens do not fit the subject, or the subject is recurrent.
    """
    engine = engine_of(subject)
    site = check_entry(subject, site)
    ids = as_tokens(subject, tokens, axes=1)
    position = start_of(site.position, len(ids), f"site {site.name}")
    start = 0 if engine == "full" else position
    depth = site.blocks_before(subject.n_layers)
    with torch.inference_mode(), ExitStack() as stack:
        if engine == "fast":
            for module, forward in replacements(subject.anatomy.blocks):
                stack.callback(replace_forward(module, forward, lambda: True))
        cache = None
        if start > 0:
            filled = DynamicCache(config=subject.model.config)
            stream_at(subject, ids[None, :start], subject.n_layers, filled)
            cache = freeze(filled, first_layer=depth, shared=engine == "fast")
            values = values_at(subject, ids[None, start:], [site], freeze(filled, first_layer=0))
        else:
            values = values_at(subject, ids[None], [site])
        rows = values[site.name][0]
        place = position - start
        base = to_site(subject, rows if site.position == "all" else rows[place], site)
    return Prefix(site, ids, start, place, base, rows, cache)


def check_entry(subject: Subject, site: Site | str) -> Site:
    """Return the site with its layer counted from 0, when points can be placed there.

    Raises:
        InputError: The layer does not exist, or the site can only be read, or it lies between
            attention and MLP of a block in which these stand side by side.
    """
    site = as_site(site)
    require_stream(site)
    site = site.resolve(subject.n_layers)
    if site.is_inside:
        find_tap(subject.model, subject.anatomy, site.layer, site.point)
    return site


def leave_out_attention(
    subject: Subject, layer: int, is_active: Callable[[], bool]
) -> Callable[[], None]:
    """Let a block's attention add nothing whenever ``is_active``, so that its MLP reads its input.

    That is how points stand between attention and MLP. Returns how to undo it.
    """
    attention = find_tap(subject.model, subject.anatomy, layer, "attn_out").module

    def nothing(_module: nn.Module, _args: Any, output: Any) -> Any:
        if not is_active():
            return None
        if isinstance(output, tuple):
            return torch.zeros_like(output[0]), *output[1:]
        return torch.zeros_like(output)

    return attention.register_forward_hook(nothing).remove


def engine_of(subject: Subject) -> Literal["fast", "general", "full"]:
    """Return the engine that a subject runs on, refusing a model that it cannot serve.

    Raises:
        InputError: The engine needs layers that each keep keys and values of their own.
    """
    if subject.engine == "full":
        return "full"
    check_supported(subject)
    if subject.engine == "auto":
        return "general" if subject.model in _not_fast else "fast"
    return subject.engine


def why_not_fast(subject: Subject) -> str | None:
    """Why the engine ``auto`` is no longer ``fast`` for a model; None where it is."""
    return _not_fast.get(subject.model)


def give_up_fast(subject: Subject, reason: str) -> None:
    """Let the engine ``auto`` be ``general`` for a model from now on."""
    _not_fast[subject.model] = reason


def check_supported(subject: Subject) -> None:
    """Refuse models whose layers do not each keep keys and values of their own.

    Raises:
        InputError: The model is recurrent, has linear-attention layers, or shares keys and values
            between layers.
    """
    model = subject.model
    try:
        layers = DynamicCache(config=model.config).layers
    except KeyError as unknown:
        kinds = {str(unknown)}
    else:
        kinds = {type(layer).__name__ for layer in layers if type(layer) not in _PLAIN_LAYERS}
    if kinds or getattr(model, "_is_stateful", False):
        raise InputError(
            f"model family {subject.anatomy.family!r}",
            got=f"layers that keep something else: {', '.join(sorted(kinds)) or 'a running state'}",
            expected="attention layers that each keep their own keys and values",
            fix="choose engine='full', which recomputes all of it for every point, or a model "
            "without linear-attention, recurrent or cache-sharing layers",
        )
