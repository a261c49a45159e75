"""Models that are used where and as they are: dispatched over devices and the disk, or quantised.

Such a model cannot be moved or brought into another number format. Its weights are read for their
hashes only: what lies on the disk module by module, what is quantised as numbers.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel

from steppe.core.errors import InputError

_PLAIN = (Tensor, nn.Parameter, nn.Buffer)


def is_dispatched(model: nn.Module) -> bool:
    """Whether accelerate brings what its modules need to where they compute."""
    return any(_hooks(module) for module in model.modules())


def is_quantised(model: nn.Module) -> bool:
    """Whether some weights are stored in another way than as the numbers that they stand for."""
    method = getattr(getattr(model, "hf_quantizer", None), "quantization_config", None)
    # A .gguf file's weights are brought back to plain numbers when it is read.
    if method is not None and getattr(method, "quant_method", "gguf") != "gguf":
        return True
    return any(not is_plain(parameter) for parameter in model.parameters())


def lies_as_it_is(model: nn.Module) -> bool:
    """Whether a model is used where and as it is."""
    return is_dispatched(model) or is_quantised(model)


def is_plain(tensor: Tensor) -> bool:
    """Whether a tensor holds numbers, not what stands for them."""
    return type(tensor) in _PLAIN and tensor.is_floating_point()


def input_device(model: PreTrainedModel) -> torch.device:
    """Where a model's token ids go."""
    for hook in _hooks(model.get_input_embeddings()):
        where = getattr(hook, "execution_device", None)
        if where is not None:
            return torch.device(where)
    return torch.device(model.device)


def own_format(model: PreTrainedModel) -> torch.dtype:
    """The number format that a model computes in."""
    found: torch.dtype = model.dtype
    return found


def loaded(model: nn.Module, name: str, tensor: Tensor) -> Tensor:
    """A tensor of a model, fetched where it lies on the disk or beside the device.

    Args:
        model: The model.
        name: The tensor's name in it.
        tensor: As the model shows it.
    """
    if tensor.device.type != "meta":
        return tensor
    path, _, own = name.rpartition(".")
    for hook in _hooks(model.get_submodule(path)):
        if getattr(hook, "weights_map", None) is not None:
            stored: Tensor = hook.weights_map[own]
            return stored
    raise InputError(
        f"weights {name}",
        got="none: a parameter on the device 'meta'",
        expected="a model whose weights have been loaded",
        fix="load it with from_pretrained",
    )


def numbers(tensor: Tensor) -> Tensor:
    """The numbers that a tensor holds or stands for."""
    whole: Tensor = tensor
    if type(tensor) not in _PLAIN and hasattr(tensor, "dequantize"):
        whole = tensor.dequantize()
    return whole


def parts(tensor: Tensor) -> Iterator[Tensor]:
    """The plain tensors that a tensor is stored as."""
    if type(tensor) in _PLAIN or not hasattr(tensor, "__tensor_flatten__"):
        yield tensor
        return
    names, _ = tensor.__tensor_flatten__()
    for name in names:
        inner = getattr(tensor, name)
        if inner is not None:
            yield from parts(inner)


def _hooks(module: nn.Module) -> list[Any]:
    """What accelerate has put around a module's forward."""
    hook = getattr(module, "_hf_hook", None)
    return [] if hook is None else list(getattr(hook, "hooks", [hook]))
