"""What does the residual stream hold at a site? A forward pass that stops as soon as it is known.

The residual stream after ``n`` blocks is called depth ``n``: depth 0 enters the first block.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from transformers import Cache

from steppe.core.errors import InputError
from steppe.core.progress import progress
from steppe.core.sites import Position, Site, as_site
from steppe.subject.coordinates import normalise
from steppe.subject.mode import evaluating
from steppe.subject.model import Subject


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


def stream_at(subject: Subject, tokens: Tensor, depth: int, cache: Cache | None = None) -> Tensor:
    """Run ``tokens`` and return the residual stream at ``depth``; nothing after it is computed.

    Args:
        subject: The model; its blocks must be in their normal state.
        tokens: int64 ``(prompt, position)`` on the subject's device.
        depth: After how many blocks.
        cache: Keys and values of earlier tokens, used and filled as transformers does.

    Returns:
        Shape ``(prompt, position, d_model)``, the model's own number format and raw coordinates.
    """
    blocks = subject.anatomy.blocks
    seen: list[Tensor] = []

    def before(_module: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        seen.append(entering_stream(args, kwargs))
        raise StopForward

    def after(_module: Any, _args: Any, output: Any) -> None:
        seen.append(stream_of(output))
        raise StopForward

    if depth == 0:
        handle = blocks[0].register_forward_pre_hook(before, with_kwargs=True)
    else:
        handle = blocks[depth - 1].register_forward_hook(after)
    try:
        with evaluating(subject.model):
            subject.model(input_ids=tokens, past_key_values=cache, use_cache=cache is not None)
    except StopForward:
        return seen[0]
    finally:
        handle.remove()
    raise AssertionError("the forward pass never reached the block it was to stop at")


def to_site(subject: Subject, stream: Tensor, site: Site) -> Tensor:
    """Bring the raw residual stream at a site's depth into what the site reads.

    Args:
        subject: Gives the coordinates and the final normalisation.
        stream: Shape ``(..., d_model)``, raw.
        site: ``ln_final`` is normalised; other points are only brought into coordinates.

    Returns:
        The same shape; float32 (float64 for a float64 model).
    """
    exact = stream.float() if stream.dtype != torch.float64 else stream
    if site.point == "ln_final":
        return normalise(exact, subject.anatomy)
    return subject.to_coordinates(exact)


def as_tokens(subject: Subject, tokens: Any, axes: int) -> Tensor:
    """Return token ids as int64 on the subject's device.

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
    limit = subject.context_length
    if limit is not None and ids.shape[-1] > limit:
        raise InputError(
            "tokens",
            got=f"prompts of {ids.shape[-1]} tokens",
            expected=f"at most {limit}, the context length of {subject.name}",
            fix="use shorter prompts",
        )
    if int(ids.min()) < 0 or int(ids.max()) >= subject.d_vocab:
        raise InputError(
            "tokens",
            got=f"token ids from {int(ids.min())} to {int(ids.max())}",
            expected=f"0 to {subject.d_vocab - 1}, the vocabulary of {subject.name}",
            fix="tokenise the prompts with this subject's own tokenizer",
        )
    return ids.to(subject.device)


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


def read_residuals(
    subject: Subject, tokens: Any, site: Site | str, *, batch_size: int = 256
) -> Tensor:
    """Read the clean activations at a site.

    Nothing after the site is computed, and no token after its position unless the engine is
    ``full``. Activations of one prompt may differ in the last bit between batch sizes.

    Args:
        subject: The model.
        tokens: Token ids ``(prompt, position)``.
        site: Where to read, as a site or as text.
        batch_size: Prompts per forward pass.

    Returns:
        float32 on the CPU, in the subject's coordinates: ``(prompt, d_model)``, or
        ``(prompt, position, d_model)`` when the site's position is ``"all"``.

    Raises:
        InputError: The site or the tokens do not fit the subject.
    """
    ids = as_tokens(subject, tokens, axes=2)
    site = as_site(site).resolve(subject.n_layers)
    start = start_of(site.position, ids.shape[1], f"site {site.name}")
    # The engine `full` is for models to which the number of tokens matters.
    if site.position != "all" and subject.engine != "full":
        ids = ids[:, : start + 1]
    depth = site.blocks_before(subject.n_layers)
    shape = (*ids.shape, subject.d_model) if site.position == "all" else (len(ids), subject.d_model)
    out = torch.empty(shape, dtype=torch.float32)
    chunks = range(0, len(ids), batch_size)
    for first in progress(chunks, f"reading {site.name}", total=len(chunks)):
        with torch.inference_mode():
            stream = stream_at(subject, ids[first : first + batch_size], depth)
            stream = stream if site.position == "all" else stream[:, start]
            out[first : first + batch_size] = to_site(subject, stream, site)
    return out
