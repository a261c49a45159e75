"""What is computed in half precision: the matrices of the blocks, and nothing else.

The residual stream, normalisations, attention weights and metrics stay float32: rounding them
would add to what is measured at every block. Half the bytes and the faster multiplication are those
of the matrices.
"""

from __future__ import annotations

import math
import time
import timeit
from functools import cache, partial
from typing import Any

import torch
from torch import Tensor, nn
from transformers.pytorch_utils import Conv1D

from steppe.core.errors import InputError

HALF = (torch.bfloat16, torch.float16)


class HalfLinear(nn.Linear):
    """A linear layer with a matrix in half precision, between activations in the stream's."""

    def forward(self, rows: Tensor) -> Tensor:
        """Multiply in half precision; the result has the number format of ``rows``."""
        return super().forward(rows.to(self.weight.dtype)).to(rows.dtype)


class HalfConv1D(Conv1D):  # type: ignore[misc]
    """The same for GPT-2's layers, whose matrices are stored the other way round."""

    def forward(self, rows: Tensor) -> Tensor:
        """Multiply in half precision; the result has the number format of ``rows``."""
        product: Tensor = super().forward(rows.to(self.weight.dtype))
        return product.to(rows.dtype)


_WHOLE: dict[type[nn.Module], type[nn.Module]] = {HalfLinear: nn.Linear, HalfConv1D: Conv1D}
_SHARE = 0.5
# From so many times the time of float32 on, half precision is not worth its half of the bytes.
# Where a processor has no instructions for it, it takes several times as long, up to a hundred.
SLOW = 2.0
_MEASURING_SECONDS, _FEWEST_ROUNDS = 0.1, 5


def loaded_format(dtype: torch.dtype) -> torch.dtype:
    """In which number format a model is had before its matrices are brought into ``dtype``."""
    return torch.float32 if dtype in HALF else dtype


def halve_matrices(blocks: nn.Module, dtype: torch.dtype) -> None:
    """Keep and multiply the matrices of some blocks in half precision from now on.

    The embedding and the unembedding stay float32: rounded logits would be rounded metrics.

    Args:
        blocks: The blocks of a model in float32; changed in place.
        dtype: ``torch.bfloat16`` or ``torch.float16``.

    Raises:
        InputError: Most of the blocks' weights are not matrices of linear layers.
    """
    halves = _halves()
    matrices: list[Any] = matrices_of(blocks)
    weights = sum(parameter.numel() for parameter in blocks.parameters())
    share = sum(int(module.weight.numel()) for module in matrices) / max(1, weights)
    if share < _SHARE:
        raise InputError(
            f"number format {str(dtype).removeprefix('torch.')!r}",
            got=f"blocks with {share:.0%} of their weights in linear layers",
            expected="at least half of them: other weights, as of experts, are not halved",
            fix="use dtype='float32'",
        )
    for module in matrices:
        module.__class__ = halves[type(module)]
        for parameter in module.parameters(recurse=False):
            parameter.data = parameter.data.to(dtype)


def matrices_of(blocks: nn.Module) -> list[nn.Module]:
    """The modules of some blocks whose weights are kept in half precision where that is asked."""
    kinds = _halves()
    return [module for module in blocks.modules() if type(module) in kinds]


def _halves() -> dict[type[nn.Module], type[nn.Module]]:
    # Here and not at the head: all models would wait for a family's module that few need.
    from transformers.models.falcon.modeling_falcon import FalconLinear

    return {nn.Linear: HalfLinear, FalconLinear: HalfLinear, Conv1D: HalfConv1D}


def restore_matrices(model: nn.Module) -> None:
    """Multiply in the stream's number format again, once the weights were brought into it.

    Args:
        model: A model that once went through `halve_matrices`, or not; changed in place.
    """
    for module in model.modules():
        module.__class__ = _WHOLE.get(type(module), type(module))


@cache
def slowdown(dtype: torch.dtype) -> float:
    """How many times as long as in float32 a product takes in ``dtype`` on this processor.

    Measured once a process, in 0.1 s: the fastest of many products of 64 rows each, the two formats
    in turns, so that other programs on the processor do not pass for a slow format.
    """
    timed = {}
    for one in (torch.float32, dtype):
        rows, matrix = torch.ones(64, 512, dtype=one), torch.ones(512, 512, dtype=one)
        timed[one] = timeit.Timer(partial(torch.nn.functional.linear, rows, matrix))
    times = dict.fromkeys(timed, math.inf)
    rounds, end = 0, time.perf_counter() + _MEASURING_SECONDS
    while rounds < _FEWEST_ROUNDS or time.perf_counter() < end:
        times = {one: min(best, timed[one].timeit(1)) for one, best in times.items()}
        rounds += 1
    return times[dtype] / times[torch.float32]
