"""Are a model's weights sound, and which weights are they?"""

from __future__ import annotations

import hashlib

import torch
from transformers import PreTrainedModel

from steppe.core.errors import InputError


def check_finite(model: PreTrainedModel, source: str) -> None:
    """Refuse weights that hold NaN or infinity.

    Raises:
        InputError: Names the first parameter at fault and how many of its entries are not finite.
    """
    for name, parameter in model.named_parameters():
        finite = parameter.detach().isfinite()
        if not bool(finite.all()):
            raise InputError(
                f"weights of {source}, parameter {name}",
                got=f"{int((~finite).sum())} of {parameter.numel()} entries are NaN or infinite",
                expected="finite numbers only",
                fix="fetch or save the weights again; half precision overflows above 65504",
            )


def weights_sha256(model: PreTrainedModel) -> str:
    """Hash the loaded weights: names, shapes, number format and values, in order of name.

    Loading the same weights in another number format gives another hash.
    """
    digest = hashlib.sha256()
    for name, tensor in sorted(model.state_dict().items()):
        digest.update(f"{name} {tuple(tensor.shape)} {tensor.dtype}\n".encode())
        plain = tensor.detach().cpu().contiguous().reshape(-1)
        digest.update(memoryview(plain.view(torch.uint8).numpy()))
    return digest.hexdigest()
