"""Modules of a block that can be computed by a faster operation that gives the same numbers.

On a processor, matrices are kept a second time in the order in which its vector units read them
(oneDNN's packed format: a quarter faster than multiplying the weights as they lie). Activations
that transformers spells out in elementary operations are replaced by torch's single one.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import gelu
from transformers.activations import FastGELUActivation, NewGELUActivation
from transformers.pytorch_utils import Conv1D

from steppe.models.as_it_lies import is_plain
from steppe.models.half_precision import HalfConv1D, HalfLinear
from steppe.propagation.packing import packed
from steppe.propagation.stepwise import Forward, Layout, stepwise

# Packed matrices stand beside the weights, so that a large model would need its memory twice.
PACKED_BYTES = 2 * 2**30
_HALF = (HalfLinear, HalfConv1D)
_LINEAR = (nn.Linear, HalfLinear)
_TRANSPOSED = (Conv1D, HalfConv1D)
_SLOPE = 2 * math.sqrt(2 / math.pi)
_CUBIC = 0.044715 * _SLOPE
_TANH_GELU = (NewGELUActivation, FastGELUActivation)
# What is replaced computes this; a class whose forward was exchanged meanwhile does not.
_FORWARDS = {kind: kind.forward for kind in (*_LINEAR, *_TRANSPOSED, *_TANH_GELU)}


# What stays in a processor's nearest cache while several operations pass over it.
_CACHED = 2**17


def replacements(
    modules: Iterable[nn.Module],
    layout: Layout = lambda: (1, 1),
    *,
    faster: bool = True,
) -> Iterator[tuple[nn.Module, Forward]]:
    """Yield modules with what computes the same in their place.

    Args:
        modules: Blocks, or other modules, that are about to run many times.
        layout: Points of a batch and of a path; see `stepwise`.
        faster: Whether to yield what is only faster, beside matrices in half precision, which are
            to multiply the steps of a path.
    """
    inner: list[Any] = list(dict.fromkeys(part for module in modules for part in module.modules()))
    inner = [part for part in inner if _computes_its_own(part)]
    matrices = {part for part in inner if faster and _can_be_packed(part)}
    if sum(part.weight.nbytes for part in matrices) > PACKED_BYTES:
        matrices = set()
    for part in inner:
        if faster and type(part) in _TANH_GELU:
            yield part, tanh_gelu
        elif part in matrices:
            yield part, _multiplication(part, layout)
        elif type(part) in _HALF:
            yield part, stepwise(part, layout)


def tanh_gelu(rows: Tensor) -> Tensor:
    """GELU in its tanh form, ``x (1 + tanh(a (x + b x^3))) / 2``, which is ``x sigmoid(2 a ...)``.

    On a processor torch's sigmoid is four times as fast as its tanh.

    Args:
        rows: Any shape; float32 or float64.
    """
    if rows.device.type != "cpu":
        return gelu(rows, approximate="tanh")
    out = torch.empty_like(rows, memory_format=torch.contiguous_format)
    width = rows.shape[-1]
    size = max(1, _CACHED // width)
    flat = (rows.reshape(-1, width), out.view(-1, width))
    for given, made in zip(*(torch.split(all_rows, size) for all_rows in flat), strict=True):
        torch.mul(given, given, out=made).mul_(_CUBIC).add_(_SLOPE).mul_(given)
        made.sigmoid_().mul_(given)
    return out


def _computes_its_own(module: nn.Module) -> bool:
    """Whether neither the module nor its class was given another forward."""
    present = vars(module).get("forward")
    own = not present._had_own if isinstance(present, _Layers) else present is None
    kind = type(module)
    return own and (kind not in _FORWARDS or kind.forward is _FORWARDS[kind])


def _can_be_packed(module: Any) -> bool:
    if type(module) not in (*_LINEAR, *_TRANSPOSED):
        return False
    weight = module.weight
    if not is_plain(weight):  # quantised: what it holds is no matrix to be packed
        return False
    return weight.device.type == "cpu" and can_be_packed(weight.dtype)


def can_be_packed(dtype: torch.dtype) -> bool:
    """Whether this processor multiplies packed matrices of a number format."""
    if not torch._C._has_mkldnn:
        return False
    has_bfloat16: Callable[[], bool] = torch.ops.mkldnn._is_mkldnn_bf16_supported
    return dtype == torch.float32 or (dtype == torch.bfloat16 and has_bfloat16())


def _multiplication(module: Any, layout: Layout) -> Forward:
    matrix = packed(module, transposed=type(module) in _TRANSPOSED)
    bias, dtype = module.bias, module.weight.dtype
    multiply = torch.ops.mkldnn._linear_pointwise
    if type(module) in _HALF:
        return stepwise(module, layout, lambda rows: multiply(rows, matrix, None, "none", [], ""))
    bias = None if bias is None else bias.detach()

    def forward(rows: Tensor) -> Tensor:
        product: Tensor = multiply(rows.to(dtype), matrix, bias, "none", [], "")
        return product.to(rows.dtype)

    return forward


def replace_forward(
    module: nn.Module, replacement: Callable[..., Any], is_active: Callable[[], bool]
) -> Callable[[], None]:
    """Let ``module`` compute ``replacement`` whenever ``is_active``; return how to undo it.

    The module itself stays where it is, with its attributes and hooks. Several replacements may
    stand at once, the latest one first, and be undone in any order.
    """
    present = vars(module).get("forward")
    layers = present if isinstance(present, _Layers) else _Layers(module)
    layer = (replacement, is_active)
    layers.over.append(layer)

    def restore() -> None:
        layers.over.remove(layer)
        if not layers.over:
            layers.give_back(module)

    return restore


class _Layers:
    """What stands in the place of a module's forward: the forward, and replacements over it."""

    def __init__(self, module: nn.Module) -> None:
        self.over: list[tuple[Callable[..., Any], Callable[[], bool]]] = []
        self._original = module.forward
        self._had_own = "forward" in vars(module)
        module.forward = self

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        for replacement, is_active in reversed(self.over):
            if is_active():
                return replacement(*args, **kwargs)
        return self._original(*args, **kwargs)

    def give_back(self, module: nn.Module) -> None:
        if self._had_own:
            module.forward = self._original
        else:
            del module.forward
