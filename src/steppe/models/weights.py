"""A model's weights: whether they are sound, which they are, and what is computed with them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from transformers import PreTrainedModel

from steppe.core.errors import InputError
from steppe.core.hashing import file_sha256
from steppe.models.as_it_lies import loaded, numbers, parts

# What a configuration says of its file, or of how a model is called.
_NOTES = {"_name_or_path", "architectures", "dtype", "transformers_version", "use_cache"}


def check_finite(hf_model: PreTrainedModel, source: str) -> None:
    """Refuse weights that hold NaN or infinity.

    Raises:
        InputError: Names the first parameter at fault and how many of its entries are not finite.
    """
    for name, parameter in hf_model.named_parameters():
        finite = numbers(loaded(hf_model, name, parameter.detach())).isfinite()
        if not bool(finite.all()):
            raise InputError(
                f"weights of {source}, parameter {name}",
                got=f"{int((~finite).sum())} of {parameter.numel()} entries are NaN or infinite",
                expected="finite numbers only",
                fix="fetch or save the weights again; half precision overflows above 65504",
            )


def weights_sha256(hf_model: PreTrainedModel) -> str:
    """Hash the loaded weights: names, shapes, number format and values, in order of name.

    Loading the same weights in another number format gives another hash.
    """
    digest = hashlib.sha256()
    for name, tensor in sorted(hf_model.state_dict().items()):
        digest.update(f"{name} {tuple(tensor.shape)} {tensor.dtype}\n".encode())
        for part in parts(loaded(hf_model, name, tensor)):
            digest.update(_bytes_of(part))
    return digest.hexdigest()


def fingerprint(hf_model: PreTrainedModel) -> str:
    """Hash the values of the parameters alone, so that saving them anew changes nothing.

    sha256 over the float32 values of all parameters, in order of their names without the base
    model's prefix. Buffers, shards, and an unembedding that equals the embedding have no part in
    it. For GPT-2 this is the sha256 of the data file of OpenAI's own checkpoint, which holds the
    same values in the same order.
    """
    digest = hashlib.sha256()
    prefix = f"{hf_model.base_model_prefix}."
    parameters = {
        name.removeprefix(prefix): (name, parameter.detach())
        for name, parameter in hf_model.named_parameters()
        if not _doubles_embedding(hf_model, name, parameter)
    }
    for _, (name, parameter) in sorted(parameters.items()):
        digest.update(_bytes_of(numbers(loaded(hf_model, name, parameter)).float()))
    return digest.hexdigest()


def architecture_sha256(hf_model: PreTrainedModel) -> str:
    """Hash what is computed with the weights: what config.json says of it, and every module."""
    stated = _without_notes(json.loads(hf_model.config.to_json_string()))
    return hashlib.sha256(f"{json.dumps(stated, sort_keys=True)}\n{hf_model}".encode()).hexdigest()


def files_sha256(files: list[Path]) -> str:
    """Hash weights as they lie on disk.

    Returns:
        The sha256 of the file, which the hub shows beside it; of several files, the sha256 of
        theirs in order of name.
    """
    sums = [file_sha256(path) for path in sorted(files)]
    return sums[0] if len(sums) == 1 else hashlib.sha256(" ".join(sums).encode()).hexdigest()


def _without_notes(stated: Mapping[str, Any]) -> dict[str, Any]:
    return {
        key: _without_notes(value) if isinstance(value, Mapping) else value
        for key, value in stated.items()
        if key not in _NOTES
    }


def _bytes_of(tensor: Tensor) -> memoryview:
    plain = tensor.detach().cpu().contiguous().reshape(-1)
    return plain.view(torch.uint8).numpy().data


def _doubles_embedding(hf_model: PreTrainedModel, name: str, parameter: Tensor) -> bool:
    """Whether a parameter is an unembedding of its own that holds what the embedding holds."""
    head, embedding = hf_model.get_output_embeddings(), hf_model.get_input_embeddings().weight
    is_own = head is not None and parameter is head.weight and parameter is not embedding
    if not is_own or parameter.shape != embedding.shape:
        return False
    (place,) = (name for name, other in hf_model.named_parameters() if other is embedding)
    both = loaded(hf_model, name, parameter.detach()), loaded(hf_model, place, embedding.detach())
    one, other = map(numbers, both)
    return torch.equal(one, other.to(one.device))
