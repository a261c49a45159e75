"""What is computed in half precision? The matrices of the blocks, and nothing else.

The residual stream, normalisations, attention weights and readouts stay float32: rounding them
would add to what is measured at every block. Half the bytes and the faster multiplication are those
of the matrices.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from transformers.pytorch_utils import Conv1D

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


_HALVES: dict[type[nn.Module], type[nn.Module]] = {nn.Linear: HalfLinear, Conv1D: HalfConv1D}


def halve_matrices(blocks: nn.Module, dtype: torch.dtype) -> None:
    """Keep and multiply the matrices of some blocks in half precision from now on.

    The embedding and the unembedding stay float32: rounded logits would be rounded readouts.

    Args:
        blocks: The blocks of a model in float32; changed in place.
        dtype: ``torch.bfloat16`` or ``torch.float16``.
    """
    for module in blocks.modules():
        half = _HALVES.get(type(module))
        if half is not None:
            module.__class__ = half
            for parameter in module.parameters(recurse=False):
                parameter.data = parameter.data.to(dtype)
