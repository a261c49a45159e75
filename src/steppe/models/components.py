"""Where a block's parts come up in a forward pass: told by their values, without code per family.

What attention and the MLP add to the residual stream are outputs of some of the block's modules:
of those that, added to what enters the block, make up what leaves it. A post-norm, a multiplier
before the addition, and an addition inside of the module are seen that way too.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, TypeGuard
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel

from steppe.core.errors import InputError
from steppe.core.sites import Point
from steppe.models.anatomy import Anatomy, kind_of_norm
from steppe.models.as_it_lies import input_device
from steppe.models.mode import evaluating

# Tokens of the pass. The first is left out: its stream may be a thousand times as long as others.
_LENGTH = 9
# Largest rest of the sum, as a share of the smaller part; rounding comes on top.
_REST = 1e-3
_SAME = 1e-4


@dataclass(frozen=True, eq=False)
class Tap:
    """Where a value can be read.

    Attributes:
        module: The module that takes it in or gives it out.
        side: Whether the value is what enters the module or what leaves it; in either case the
            first tensor of several.
        scale: What it is multiplied by before it is added to the stream.
    """

    module: nn.Module
    side: Literal["in", "out"]
    scale: float = 1.0


@dataclass(frozen=True, eq=False)
class Components:
    """Where a block's parts can be read.

    Attributes:
        taps: By point. ``resid_mid`` is lacking where attention and MLP read the same stream, and
            ``mlp_post`` where the MLP is no matrix of neurons, as with experts.
    """

    taps: dict[Point, Tap]


_found: WeakKeyDictionary[nn.Module, Components] = WeakKeyDictionary()


def find_components(hf_model: PreTrainedModel, anatomy: Anatomy, layer: int) -> Components:
    """Find where a block's parts can be read, by one forward pass on its first use.

    Args:
        hf_model: A causal language model.
        anatomy: Its parts.
        layer: Which block, from 0.

    Raises:
        InputError: What leaves the block is not what enters it, attention's and the MLP's output
            added up, as in blocks that normalise after the addition.
    """
    block = anatomy.blocks[layer]
    if block not in _found:
        _found[block] = _components(_observe(hf_model, block), anatomy, layer)
    return _found[block]


def find_tap(hf_model: PreTrainedModel, anatomy: Anatomy, layer: int, point: Point) -> Tap:
    """Where one part of a block can be read; see `find_components`.

    Raises:
        InputError: The block has no such part.
    """
    found = find_components(hf_model, anatomy, layer)
    if point not in found.taps:
        why = (
            "attention and the MLP read the same stream, side by side"
            if point == "resid_mid"
            else "no single matrix reads the MLP's neurons"
        )
        raise InputError(
            f"site {point}:{layer}",
            got=f"a block of {anatomy.family!r}: {why}",
            expected=f"one of {', '.join(found.taps)}, or the stream before or after a block",
            fix="choose another site",
        )
    return found.taps[point]


def first_tensor(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Tensor | None:
    """The first tensor among a module's arguments; of a block, the residual stream."""
    named = [kwargs["hidden_states"]] if "hidden_states" in kwargs else []
    given = (*args, *named, *kwargs.values())
    return next((one for one in given if isinstance(one, Tensor)), None)


def output_tensor(output: Any) -> Tensor | None:
    """The first tensor of what a module returns."""
    first = output[0] if isinstance(output, tuple) and output else output
    return first if isinstance(first, Tensor) else None


@dataclass(frozen=True, eq=False)
class _Call:
    """One module's call: what it took in and gave out, float64 ``(position, width)``.

    ``example`` is a value of the format and device that it took in, ``is_plain`` whether that was
    its only argument.
    """

    name: str
    module: nn.Module
    entering: Tensor
    leaving: Tensor
    example: Tensor
    is_plain: bool


@dataclass(eq=False)
class _Seen:
    """What one forward pass showed of a block: its calls in the order in which they ended."""

    calls: list[_Call]
    entering: Tensor
    leaving: Tensor
    rounding: float


class _Stop(Exception):
    """Ends the pass behind the block."""


def _observe(hf_model: PreTrainedModel, block: nn.Module) -> _Seen:
    calls: list[_Call] = []
    ends: dict[str, Tensor] = {}
    formats: list[torch.dtype] = []
    vocabulary = int(hf_model.get_input_embeddings().weight.shape[0])
    tokens = (3 + 7 * torch.arange(_LENGTH)) % vocabulary

    def entered(_module: nn.Module, args: Any, kwargs: Any) -> None:
        ends["entering"] = _whole(first_tensor(args, kwargs))

    def left(_module: nn.Module, _args: Any, output: Any) -> None:
        stream = output_tensor(output)
        ends["leaving"] = _whole(stream)
        formats.extend([] if stream is None else [stream.dtype])
        raise _Stop

    def called(name: str) -> Callable[..., None]:
        def hook(module: nn.Module, args: Any, kwargs: Any, output: Any) -> None:
            before, after = first_tensor(args, kwargs), output_tensor(output)
            if _has_rows(before) and _has_rows(after):
                is_plain, example = len(args) == 1 and not kwargs, before.new_empty(())
                both = _whole(before), _whole(after)
                calls.append(_Call(name, module, *both, example, is_plain))

        return hook

    inner = [(name, module) for name, module in block.named_modules() if name]
    handles = [module.register_forward_hook(called(n), with_kwargs=True) for n, module in inner]
    handles.append(block.register_forward_pre_hook(entered, with_kwargs=True))
    # Before a hook of the user's own, which may add to what leaves the block.
    handles.append(block.register_forward_hook(left, prepend=True))
    try:
        with torch.inference_mode(), evaluating(hf_model):
            hf_model(input_ids=tokens[None].to(input_device(hf_model)), use_cache=False)
    except _Stop:
        pass
    finally:
        for handle in handles:
            handle.remove()
    names = [call.name for call in calls]
    once = [call for call in calls if names.count(call.name) == 1]
    return _Seen(once, ends["entering"], ends["leaving"], torch.finfo(formats[0]).eps)


def _has_rows(value: Tensor | None) -> TypeGuard[Tensor]:
    """Whether a tensor holds one row a position, in the order of positions."""
    return value is not None and value.is_floating_point() and _LENGTH in value.shape[-3:-1]


def _whole(value: Tensor | None) -> Tensor:
    assert value is not None
    return value.detach().double().cpu().reshape(_LENGTH, -1)[1:].clone()


def _components(seen: _Seen, anatomy: Anatomy, layer: int) -> Components:
    width = seen.entering.shape[1]
    values: list[list[_Call]] = []
    for call in seen.calls:
        if call.leaving.shape[1] == width:
            known = [calls for calls in values if _same(calls[0].leaving, call.leaving, seen)]
            known[0].append(call) if known else values.append([call])
    fits = [
        (rest, attention, mlp, scales)
        for place, attention in enumerate(values)
        if any("att" in call.name for call in attention)
        for mlp in values[place + 1 :]
        for rest, scales in [_rest(seen, attention[0].leaving, mlp[0].leaving)]
        if rest is not None
    ]
    if not fits:
        raise InputError(
            f"parts of block {layer} of model family {anatomy.family!r}",
            got="a block whose output is not its input with two parts added to it",
            expected="a block that adds attention's and the MLP's output to the residual stream",
            fix="read blocks.<layer>.hook_resid_pre or blocks.<layer>.hook_resid_post",
        )
    _, attention, mlp, (one, other) = min(fits, key=lambda fit: fit[0])
    taps: dict[Point, Tap] = {
        "attn_out": Tap(attention[-1].module, "out", one),
        "mlp_out": Tap(mlp[-1].module, "out", other),
    }
    middle = seen.entering + one * attention[0].leaving
    between = [c for c in seen.calls if _same(c.entering, middle, seen)]
    if between:
        taps["resid_mid"] = Tap(between[0].module, "in")
    neurons = _neurons(seen, mlp[0], anatomy.d_model)
    if neurons is not None:
        taps["mlp_post"] = Tap(neurons.module, "in")
    return Components(taps)


def _same(one: Tensor, other: Tensor, seen: _Seen) -> bool:
    if one.shape != other.shape:
        return False
    tolerance = max(_SAME, 4 * seen.rounding)
    return bool((one - other).abs().max() <= tolerance * other.abs().max())


def _rest(seen: _Seen, attention: Tensor, mlp: Tensor) -> tuple[float | None, tuple[float, float]]:
    """What is left of the block's change when two parts explain it; None where that is too much."""
    change = (seen.leaving - seen.entering).flatten()
    parts = torch.stack([attention.flatten(), mlp.flatten()], dim=1)
    found = torch.linalg.lstsq(parts, change[:, None], driver="gelsd").solution[:, 0]
    # What a model multiplies by is a number of few digits.
    digits = 6 if seen.rounding < 1e-5 else 2
    scales = tuple(float(f"{float(scale):.{digits - 1}e}") for scale in found)
    rest = float((change - parts @ parts.new_tensor(scales)).norm())
    smaller = min(float((scale * part).norm()) for scale, part in zip(scales, parts.T, strict=True))
    noise = seen.rounding * float(seen.leaving.norm())
    if min(scales) <= 0 or rest > _REST * smaller + noise or noise > 0.1 * smaller:
        return None, (0.0, 0.0)
    return rest, (scales[0], scales[1])


def _neurons(seen: _Seen, call: _Call, width: int) -> _Call | None:
    """The call of the matrix that reads the MLP's neurons, from the first call with its output."""
    while call.is_plain and call.entering.shape[1] == width and _is_norm(call.module, width):
        before = [c for c in seen.calls if _same(c.leaving, call.entering, seen)]
        if not before:
            return None
        call = before[0]
    return call if call.is_plain and _is_linear(call) else None


def _is_norm(module: nn.Module, width: int) -> bool:
    return kind_of_norm(module, width) != "other"


def _is_linear(call: _Call) -> bool:
    """Whether a module's output grows in proportion to its input, up to a bias."""
    rows = call.entering.to(call.example)
    with torch.inference_mode():
        none, once, twice = (call.module(factor * rows).double() for factor in (0.0, 1.0, 2.0))
    error = (twice - 2 * once + none).abs().max()
    return bool(error <= 0.02 * (once - none).abs().max()) and bool((once - none).any())
