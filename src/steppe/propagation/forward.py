"""What a model holds at its sites: a forward pass that stops as soon as all of it is known.

The residual stream after ``n`` blocks is called depth ``n``: depth 0 enters the first block.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack, suppress
from typing import Any

import torch
from torch import Tensor
from transformers import Cache

from steppe.core.errors import InputError
from steppe.core.progress import progress
from steppe.core.sites import Position, Site, as_site, part_at
from steppe.models.components import find_tap, first_tensor, output_tensor
from steppe.models.coordinates import normalise
from steppe.models.mode import evaluating
from steppe.models.model import Model


class StopForward(Exception):
    """Ends a forward pass once everything asked for has been seen."""


def stream_of(output: Any) -> Tensor:
    """The residual stream in a block's output, which some families wrap in a tuple."""
    stream: Tensor = output[0] if isinstance(output, tuple) else output
    return stream


def entering_stream(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Tensor:
    """The residual stream among the arguments of a block."""
    stream: Tensor = args[0] if args else kwargs["hidden_states"]
    return stream


def watch(
    model: Model, place: tuple[int, int], keep: Callable[[Tensor], None]
) -> Callable[[], None]:
    """Hand on what every forward pass holds at a place, raw, until that is undone.

    Args:
        model: The model.
        place: A site's `Site.place`.
        keep: Is given the value; the model may change it afterwards. Its rows of all prompts may
            lie one after the other; see `by_prompt`.

    Returns:
        Undoes it.

    Raises:
        InputError: The model has no such part.
    """
    layer, part = place
    blocks = model.anatomy.blocks
    module, enters, scale = blocks[max(0, layer - 1)], place == (0, 0), 1.0
    if part:
        tap = find_tap(model.hf_model, model.anatomy, layer, part_at(part))
        module, enters, scale = tap.module, tap.side == "in", tap.scale

    def given(value: Tensor | None) -> None:
        assert value is not None
        keep(value if scale == 1.0 else scale * value)

    def before(_module: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        given(first_tensor(args, kwargs))

    def after(_module: Any, _args: Any, output: Any) -> None:
        given(output_tensor(output))

    if enters:
        return module.register_forward_pre_hook(before, with_kwargs=True).remove
    return module.register_forward_hook(after).remove


def by_prompt(value: Tensor, prompts: int) -> Tensor:
    """A copy of a value of `watch` as ``(prompt, position, width)``."""
    return value.reshape(prompts, -1, value.shape[-1]).clone()


def values_at(
    model: Model, tokens: Tensor, sites: Sequence[Site], cache: Cache | None = None
) -> dict[str, Tensor]:
    """Run ``tokens`` once and return what the model holds at some sites; nothing later is computed.

    Args:
        model: The model; its blocks must be in their normal state.
        tokens: int64 ``(prompt, position)`` on the model's device.
        sites: Which sites; their positions have no part in it.
        cache: Keys and values of earlier tokens, used and filled as transformers does.

    Returns:
        By name of the site: ``(prompt, position, width)``, the model's own number format and raw.

    Raises:
        InputError: The model has no such part.
    """
    places = {site.name: site.place(model.n_layers) for site in sites}
    last = max(places.values())
    for site in sites:
        if site.is_inside:  # found by a pass of its own, before anything is watched
            find_tap(model.hf_model, model.anatomy, places[site.name][0], site.point)
    seen: dict[tuple[int, int], Tensor] = {}

    def keeper(place: tuple[int, int]) -> Callable[[Tensor], None]:
        def keep(value: Tensor) -> None:
            seen[place] = by_prompt(value, len(tokens))
            if place == last:
                raise StopForward

        return keep

    with ExitStack() as stack:
        for place in dict.fromkeys(places.values()):
            stack.callback(watch(model, place, keeper(place)))
        with suppress(StopForward), evaluating(model.hf_model):
            model.hf_model(input_ids=tokens, past_key_values=cache, use_cache=cache is not None)
    return {name: seen[place] for name, place in places.items()}


def stream_at(model: Model, tokens: Tensor, depth: int, cache: Cache | None = None) -> Tensor:
    """Run ``tokens`` and return the residual stream at ``depth``; nothing after it is computed.

    Args:
        model: The model; its blocks must be in their normal state.
        tokens: int64 ``(prompt, position)`` on the model's device.
        depth: After how many blocks.
        cache: Keys and values of earlier tokens, used and filled as transformers does.

    Returns:
        Shape ``(prompt, position, d_model)``, the model's own number format and raw coordinates.
    """
    site = Site(depth, "resid_pre") if depth < model.n_layers else Site(-1, "resid_post")
    return values_at(model, tokens, [site], cache)[site.name]


def to_site(model: Model, stream: Tensor, site: Site) -> Tensor:
    """Bring what the model holds at a site's place into what the site reads.

    Args:
        model: Gives the coordinates and the final normalisation.
        stream: Shape ``(..., d_model)``, raw.
        site: ``ln_final`` is normalised; neurons stay as they are; other points are only brought
            into coordinates.

    Returns:
        The same shape; float32 (float64 for a float64 model).
    """
    exact = stream.float() if stream.dtype != torch.float64 else stream
    if site.point == "ln_final":
        return normalise(exact, model.anatomy)
    if site.point == "mlp_post":
        return exact
    return model.to_coordinates(exact)


def as_tokens(model: Model, tokens: Any, axes: int) -> Tensor:
    """Return token ids as int64 on the model's device.

    Raises:
        InputError: Wrong number of axes, none at all, longer than the context, out of vocabulary.
    """
    ids = torch.as_tensor(tokens, dtype=torch.int64)
    shape = "(position,)" if axes == 1 else "(prompt, position)"
    if ids.ndim != axes or ids.numel() == 0:
        raise InputError(
            "tokens",
            got=f"shape {tuple(ids.shape)}",
            expected=f"token ids of shape {shape}, at least one",
            fix="pass one row of token ids per prompt" if axes == 2 else "pass one prompt's row",
        )
    limit = model.context_length
    if limit is not None and ids.shape[-1] > limit:
        raise InputError(
            "tokens",
            got=f"prompts of {ids.shape[-1]} tokens",
            expected=f"at most {limit}, the context length of {model.name}",
            fix="use shorter prompts",
        )
    if int(ids.min()) < 0 or int(ids.max()) >= model.d_vocab:
        raise InputError(
            "tokens",
            got=f"token ids from {int(ids.min())} to {int(ids.max())}",
            expected=f"0 to {model.d_vocab - 1}, the vocabulary of {model.name}",
            fix="tokenise the prompts with this model's own tokenizer",
        )
    return ids.to(model.device)


def start_of(position: Position, length: int, place: str) -> int:
    """Index of the first token that a site's position concerns; 0 when it is all of them.

    Raises:
        InputError: The prompt has no such position.
    """
    if position == "all":
        return 0
    if not -length <= position < length:
        raise InputError(
            place,
            got=f"position {position}",
            expected=f"{-length} to {length - 1} (the prompt has {length} tokens)",
            fix="choose a position inside the prompt, or use longer prompts",
        )
    return position % length


def read_residuals(model: Model, tokens: Any, site: Site | str, *, batch_size: int = 256) -> Tensor:
    """Read the clean activations at one site; see `read_activations`.

    Args:
        model: The model.
        tokens: Token ids ``(prompt, position)``.
        site: Where to read, as a site or as text.
        batch_size: Prompts per forward pass.

    Returns:
        float32 on the CPU, in the model's coordinates: ``(prompt, d_model)``, or
        ``(prompt, position, d_model)`` when the site's position is ``"all"``.

    Raises:
        InputError: The site or the tokens do not fit the model.
    """
    (found,) = read_activations(model, tokens, [site], batch_size=batch_size).values()
    return found


def read_activations(
    model: Model, tokens: Any, sites: Sequence[Site | str], *, batch_size: int = 256
) -> dict[str, Tensor]:
    """Read the clean activations at several sites in one pass.

    Nothing after the last site is computed, and no token after its position unless the engine is
    ``full``. Activations of one prompt may differ in the last bit between batch sizes.

    Args:
        model: The model.
        tokens: Token ids ``(prompt, position)``.
        sites: Where to read, as sites or as text. ``attn_out`` and ``mlp_out`` are what is added to
            the residual stream: with a post-norm and a multiplier, where a model has them.
        batch_size: Prompts per forward pass.

    Returns:
        By the name of each site: float32 on the CPU, in the model's coordinates (neurons,
        ``mlp_post``, have none): ``(prompt, width)``, or ``(prompt, position, width)`` when the
        site's position is ``"all"``.

    Raises:
        InputError: A site or the tokens do not fit the model, or two sites of one name differ in
            position.
    """
    ids = as_tokens(model, tokens, axes=2)
    asked = [as_site(site).resolve(model.n_layers) for site in sites]
    named = {site.name: site for site in asked}
    if not asked or any(named[site.name] != site for site in asked):
        raise InputError(
            "sites",
            got=", ".join(f"{site.name} at position {site.position}" for site in asked) or "none",
            expected="one or more sites, each at one position or at all",
            fix="read a site at position 'all', and take positions from that",
        )
    starts = {n: start_of(site.position, ids.shape[1], f"site {n}") for n, site in named.items()}
    # The engine `full` is for models to which the number of tokens matters.
    if model.engine != "full" and all(site.position != "all" for site in asked):
        ids = ids[:, : max(starts.values()) + 1]
    found: dict[str, Tensor] = {}
    chunks = range(0, len(ids), batch_size)
    for first in progress(chunks, f"reading {', '.join(named)}", total=len(chunks)):
        with torch.inference_mode():
            values = values_at(model, ids[first : first + batch_size], asked)
        for name, site in named.items():
            where = slice(None) if site.position == "all" else starts[name]
            rows = to_site(model, values[name][:, where], site)
            if name not in found:
                found[name] = torch.empty((len(ids), *rows.shape[1:]), dtype=torch.float32)
            found[name][first : first + batch_size] = rows
    return found
