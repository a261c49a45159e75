"""Attention of many points to their prompt's keys and values, which are not copied for each.

A frozen cache hands attention `JoinedTensor`s: each prompt's prefix once, and each point's own keys
or values. torch's scaled dot-product attention is answered in two products, one over the shared
prefix and one over the own positions; any other operation sees an ordinary tensor, joined for it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import pad, scaled_dot_product_attention

# Entries of the widest vector register of a processor, float32.
_VECTOR = 16

_PROPERTIES = ("shape", "dtype", "device", "ndim", "is_cuda", "requires_grad")
_METADATA = {Tensor.size, Tensor.dim, *(getattr(Tensor, name).__get__ for name in _PROPERTIES)}


class JoinedTensor(Tensor):
    """Keys or values of a shared prefix followed by those of each point, not yet joined.

    Args:
        prefix: Shape ``(prompt, head, position, d_head)``.
        own: Shape ``(point, head, position, d_head)``, as many points of each prompt, in order.
    """

    prefix: Tensor
    own: Tensor

    @staticmethod
    def __new__(cls, prefix: Tensor, own: Tensor) -> JoinedTensor:
        """Take the two parts as they are; nothing is copied."""
        points, heads, positions, width = own.shape
        joined: JoinedTensor = Tensor._make_wrapper_subclass(
            cls,
            (points, heads, prefix.shape[2] + positions, width),
            dtype=own.dtype,
            device=own.device,
        )
        joined.prefix, joined.own = prefix, own
        return joined

    def whole(self) -> Tensor:
        """The ordinary tensor that this one stands for."""
        return torch.cat([for_points(self.prefix, len(self.own)), self.own], dim=-2)

    @classmethod
    def __torch_function__(
        cls, func: Callable[..., Any], types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        """Answer attention in two products; let everything else see the whole tensor."""
        kwargs = kwargs or {}
        with torch._C.DisableTorchFunctionSubclass():
            if func in _METADATA:
                return func(*args, **kwargs)
            if func is scaled_dot_product_attention and _can_share(args, kwargs):
                return _attend(*args, **kwargs)
            return func(*map(_whole, args), **{key: _whole(kwargs[key]) for key in kwargs})

    @classmethod
    def __torch_dispatch__(  # type: ignore[override]
        cls, func: Callable[..., Any], types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        """The same for what reaches torch without passing by Python's names."""
        kwargs = kwargs or {}
        return func(*map(_whole, args), **{key: _whole(kwargs[key]) for key in kwargs})


def for_points(of_prompts: Tensor, points: int) -> Tensor:
    """What belongs to each prompt, for each of its points: ``(point, ...)``, of one, not copied."""
    if len(of_prompts) == 1:
        return of_prompts.expand(points, *of_prompts.shape[1:])
    return of_prompts.repeat_interleave(points // len(of_prompts), 0)


def _whole(value: Any) -> Any:
    if isinstance(value, list | tuple):
        return type(value)(_whole(one) for one in value)
    return value.whole() if isinstance(value, JoinedTensor) else value


def _can_share(args: Sequence[Any], kwargs: Mapping[str, Any]) -> bool:
    """Whether the arguments are query, key, value, a mask perhaps, and nothing unusual."""
    return (
        3 <= len(args) <= 4
        and all(isinstance(one, JoinedTensor) for one in args[1:3])
        and not kwargs.get("is_causal")
        and not kwargs.get("dropout_p")
    )


def _attend(
    query: Tensor,
    key: JoinedTensor,
    value: JoinedTensor,
    attn_mask: Tensor | None = None,
    scale: float | None = None,
    **_: Any,
) -> Tensor:
    """Scaled dot-product attention; several query heads may share a key head."""
    prompts, heads, prefix_length, width = key.prefix.shape
    points = len(key.own) // prompts
    # By prompt and key head, so that one product over a prefix serves all points of its prompt.
    rows = _by_head(query.reshape(len(query), heads, -1, width), prompts)
    flat = rows.reshape(prompts * heads, -1, width)
    scores = torch.cat(
        [
            torch.bmm(flat, key.prefix.flatten(0, 1).transpose(1, 2)),
            _own_scores(rows, _by_head(key.own, prompts)).reshape(*flat.shape[:2], -1),
        ],
        dim=-1,
    ).mul_(width**-0.5 if scale is None else scale)
    if attn_mask is not None:
        scores = _masked(scores, attn_mask, query, prompts)
    weights = _softmax(scores)
    out = torch.bmm(weights[..., :prefix_length], value.prefix.flatten(0, 1)).view(rows.shape)
    own_weights = weights[..., prefix_length : scores.shape[-1]].reshape(*rows.shape[:3], -1)
    own_value = _by_head(value.own, prompts)
    if own_value.shape[2] == 1:
        out = torch.addcmul(out, own_weights, own_value)
    else:
        out = out + own_weights @ own_value
    return out.view(prompts, heads, points, -1, width).transpose(1, 2).reshape(query.shape)


def _by_head(rows: Tensor, prompts: int) -> Tensor:
    """From ``(prompt * point, head, ...)`` to ``(prompt * head, point, ...)``."""
    apart = rows.reshape(prompts, -1, *rows.shape[1:]).transpose(1, 2)
    return apart.flatten(0, 1)


def _softmax(scores: Tensor) -> Tensor:
    """Softmax over keys, with zeros after them up to whole vectors: up to seven times as fast."""
    missing = -scores.shape[-1] % _VECTOR
    return pad(scores, (0, missing), value=-torch.inf).softmax(-1)


def _own_scores(rows: Tensor, own_key: Tensor) -> Tensor:
    """Of each point's queries with its own keys, ``(prompt * head, point, query, position)``."""
    if own_key.shape[2] == 1:
        return (rows * own_key).sum(-1, keepdim=True)
    return rows @ own_key.transpose(-1, -2)


def _masked(scores: Tensor, mask: Tensor, query: Tensor, prompts: int) -> Tensor:
    """Apply a mask that broadcasts over ``(point, query head, query, key)``."""
    points, query_heads, queries, _ = query.shape
    heads = len(scores) // prompts
    mask = mask.expand(points, query_heads, queries, -1)
    mask = _by_head(mask.reshape(points, heads, -1, queries, scores.shape[-1]), prompts)
    by_head = scores.view(mask.shape)
    if mask.dtype == torch.bool:
        return by_head.masked_fill(~mask, -torch.inf).reshape(scores.shape)
    return (by_head + mask).reshape(scores.shape)
