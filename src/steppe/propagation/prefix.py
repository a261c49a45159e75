"""What of a prompt is the same for every point at a site: computed once, then shared.

With causal attention, moving the activation at one position changes nothing at earlier positions or
layers. So their keys and values, and the clean residual stream of the later positions at the site,
are computed once per prompt.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, replace
from typing import Any, Literal
from weakref import WeakKeyDictionary

import numpy as np
import torch
from torch import Tensor, nn
from transformers import DynamicCache
from transformers.cache_utils import DynamicLayer, DynamicSlidingWindowLayer

from steppe.core.errors import InputError
from steppe.core.sites import Site, as_site, require_stream
from steppe.models.components import find_tap
from steppe.models.model import Model
from steppe.propagation.forward import as_tokens, start_of, stream_at, to_site, values_at
from steppe.propagation.frozen_cache import freeze, rows_of
from steppe.propagation.replacements import replace_forward, replacements

# What FrozenLayer stands in for; other kinds of layer carry a running state or share a cache.
_PLAIN_LAYERS = (DynamicLayer, DynamicSlidingWindowLayer)
_not_fast: WeakKeyDictionary[nn.Module, str] = WeakKeyDictionary()


@dataclass(frozen=True, eq=False)
class Prefix:
    """One prompt, prepared for points at one site; or several of one length, with an axis more.

    Attributes:
        site: The site, its layer counted from 0.
        tokens: int64 ``([prompt,] position)``, the whole prompt.
        start: The first position that every point runs again; 0 for a site at all positions.
        place: Where among these the points are placed; 0 but for the engine ``full``.
        base: The clean activation at the site, float32, in the model's coordinates:
            ``([prompt,] d_model)``, with a position axis before ``d_model`` when the site's
            position is ``"all"``.
        rows: The clean residual stream at the site from ``start`` on, raw:
            ``([prompt,] position, d_model)``.
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
        """Number of tokens in a prompt."""
        return int(self.tokens.shape[-1])

    @property
    def positions(self) -> int:
        """How many positions every point runs."""
        return int(self.rows.shape[-2])

    @property
    def prompts(self) -> int:
        """How many prompts it holds."""
        return len(self.tokens) if self.tokens.ndim == 2 else 1

    @property
    def nbytes(self) -> int:
        """Memory that its keys, values and activations take."""
        layers = [] if self.cache is None else self.cache.layers
        kept = [one for layer in layers for one in (layer.keys, layer.values) if one is not None]
        return sum(one.nbytes for one in [self.base, self.rows, *kept])

    def __getitem__(self, prompts: int | slice) -> Prefix:
        """One of several prompts, or some of them; nothing is copied.

        Raises:
            IndexError: It is the prefix of one prompt, or there is no such prompt.
        """
        if self.tokens.ndim == 1:
            raise IndexError("a prefix of one prompt has no prompts to choose from")
        if isinstance(prompts, int):
            prompts = range(self.prompts)[prompts]
        which = slice(prompts, prompts + 1) if isinstance(prompts, int) else prompts
        return replace(
            self,
            tokens=self.tokens[prompts],
            base=self.base[prompts],
            rows=self.rows[prompts],
            cache=None if self.cache is None else rows_of(self.cache, which),
        )

    def check_points(self, points: Tensor) -> None:
        """Refuse points that are not rows of the residual stream, as many of each prompt.

        Raises:
            InputError: They are not.
        """
        if len(points) % self.prompts:
            raise InputError(
                "points",
                got=f"{len(points)} for {self.prompts} prompts",
                expected="as many of each prompt",
                fix="pass the points of one prompt after the other",
            )
        inner = (self.length,) if self.site.position == "all" else ()
        width = int(self.base.shape[-1])
        if points.ndim != len(inner) + 2 or points.shape[1:] != (*inner, width):
            raise InputError(
                "points",
                got=f"shape {tuple(points.shape)}",
                expected=f"(step, {', '.join(map(str, (*inner, width)))})",
                fix="pass one row per step, in the residual stream's width",
            )


def build_prefix(model: Model, tokens: Any, site: Site | str) -> Prefix:
    """Compute what all points at a site share.

    Args:
        model: The model.
        tokens: One prompt's token ids, ``(position,)``; or those of several that are run together,
            ``(prompt, position)``.
        site: Where points will be placed.

    Raises:
        InputError: The site or the tokens do not fit the model, or the model is recurrent.
    """
    engine = engine_of(model)
    site = check_entry(model, site)
    ids = as_tokens(model, tokens, axes=2 if np.ndim(tokens) == 2 else 1)
    batch = ids.reshape(-1, ids.shape[-1])
    position = start_of(site.position, ids.shape[-1], f"site {site.name}")
    start = 0 if engine == "full" else position
    depth = site.blocks_before(model.n_layers)
    with torch.inference_mode(), ExitStack() as stack:
        if engine == "fast":
            for module, forward in replacements(model.anatomy.blocks):
                stack.callback(replace_forward(module, forward, lambda: True))
        cache = None
        if start > 0:
            filled = DynamicCache(config=model.hf_model.config)
            stream_at(model, batch[:, :start], model.n_layers, filled)
            cache = freeze(filled, first_layer=depth, shared=engine == "fast")
            values = values_at(model, batch[:, start:], [site], freeze(filled, first_layer=0))
        else:
            values = values_at(model, batch, [site])
        rows = values[site.name].reshape(*ids.shape[:-1], -1, model.d_model)
        place = position - start
        base = to_site(model, rows if site.position == "all" else rows[..., place, :], site)
    return Prefix(site, ids, start, place, base, rows, cache)


def check_entry(model: Model, site: Site | str) -> Site:
    """Return the site with its layer counted from 0, when points can be placed there.

    Raises:
        InputError: The layer does not exist, or the site can only be read, or it lies between
            attention and MLP of a block in which these stand side by side.
    """
    site = as_site(site)
    require_stream(site)
    site = site.resolve(model.n_layers)
    if site.is_inside:
        find_tap(model.hf_model, model.anatomy, site.layer, site.point)
    return site


def leave_out_attention(
    model: Model, layer: int, is_active: Callable[[], bool]
) -> Callable[[], None]:
    """Let a block's attention add nothing whenever ``is_active``, so that its MLP reads its input.

    That is how points stand between attention and MLP. Returns how to undo it.
    """
    attention = find_tap(model.hf_model, model.anatomy, layer, "attn_out").module

    def nothing(_module: nn.Module, _args: Any, output: Any) -> Any:
        if not is_active():
            return None
        if isinstance(output, tuple):
            return torch.zeros_like(output[0]), *output[1:]
        return torch.zeros_like(output)

    return attention.register_forward_hook(nothing).remove


def engine_of(model: Model) -> Literal["fast", "general", "full"]:
    """Return the engine that a model runs on, refusing a model that it cannot serve.

    Raises:
        InputError: The engine needs layers that each keep keys and values of their own.
    """
    if model.engine == "full":
        return "full"
    check_supported(model)
    if model.engine == "auto":
        return "general" if model.hf_model in _not_fast else "fast"
    return model.engine


def why_not_fast(model: Model) -> str | None:
    """Why the engine ``auto`` is no longer ``fast`` for a model; None where it is."""
    return _not_fast.get(model.hf_model)


def give_up_fast(model: Model, reason: str) -> None:
    """Let the engine ``auto`` be ``general`` for a model from now on."""
    _not_fast[model.hf_model] = reason


def check_supported(model: Model) -> None:
    """Refuse models whose layers do not each keep keys and values of their own.

    Raises:
        InputError: The model is recurrent, has linear-attention layers, or shares keys and values
            between layers.
    """
    hf_model = model.hf_model
    try:
        layers = DynamicCache(config=hf_model.config).layers
    except KeyError as unknown:
        kinds = {str(unknown)}
    else:
        kinds = {type(layer).__name__ for layer in layers if type(layer) not in _PLAIN_LAYERS}
    if kinds or getattr(hf_model, "_is_stateful", False):
        raise InputError(
            f"model family {model.anatomy.family!r}",
            got=f"layers that keep something else: {', '.join(sorted(kinds)) or 'a running state'}",
            expected="attention layers that each keep their own keys and values",
            fix="choose engine='full', which recomputes all of it for every point, or a model "
            "without linear-attention, recurrent or cache-sharing layers",
        )
