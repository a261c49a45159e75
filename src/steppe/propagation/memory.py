"""The memory that a study will take, known from a model's configuration alone."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, fields
from typing import Any

import torch
from torch import nn
from transformers import AutoModelForCausalLM, PretrainedConfig
from transformers.pytorch_utils import Conv1D

from steppe.core.sites import Site
from steppe.models.anatomy import find_blocks_path
from steppe.models.half_precision import HALF, loaded_format, matrices_of
from steppe.propagation.plan import BATCH_BYTES, bytes_of_point
from steppe.propagation.replacements import PACKED_BYTES, can_be_packed


@dataclass(frozen=True)
class Workload:
    """What runs at once.

    Attributes:
        site: Where activations are moved.
        prompt_length: Tokens of a prompt.
        prompts: Prompts that are prepared at once.
        points: Points of a path.
        logits: Whether logits are read.
        dtype: The number format of the blocks' matrices.
        on_cpu: Whether the model is on a processor, where matrices are kept a second time in the
            order in which it reads them.
    """

    site: Site
    prompt_length: int
    prompts: int = 20
    points: int = 101
    logits: bool = True
    dtype: torch.dtype = torch.float32
    on_cpu: bool = True


@dataclass(frozen=True)
class Memory:
    """Bytes beside those of Python and its libraries.

    Attributes:
        weights: Parameters and tables of the model.
        packed: Matrices kept a second time.
        prefixes: Keys and values of the prompts that are prepared at once.
        batch: What the points of one batch take while they run, at most.
    """

    weights: int
    packed: int
    prefixes: int
    batch: int

    @property
    def total(self) -> int:
        """All of it."""
        return sum(getattr(self, field.name) for field in fields(self))


def expected_memory(config: PretrainedConfig, workload: Workload) -> Memory:
    """State what a study will take, before any weight is read.

    Args:
        config: The model's configuration. The model is built of it without memory.
        workload: What runs at once.

    Raises:
        InputError: The model's blocks cannot be told, or the site does not exist.
    """
    with torch.device("meta"):
        hf_model = AutoModelForCausalLM.from_config(config, trust_remote_code=False)
    blocks: Any = hf_model.get_submodule(find_blocks_path(hf_model, str(config.model_type)))
    first = workload.site.blocks_before(len(blocks))
    after = [*blocks[first:], *([hf_model.get_output_embeddings()] if workload.logits else [])]
    formats = _Formats(blocks, workload.dtype)
    return Memory(
        weights=_weights(hf_model, formats),
        packed=_packed(blocks, after, formats) if workload.on_cpu else 0,
        prefixes=_prefixes(config, len(blocks) - first, workload, formats.rest.itemsize),
        batch=_batch(config, hf_model, workload),
    )


class _Formats:
    """In which number format each module of a model keeps its parameters."""

    def __init__(self, blocks: nn.Module, dtype: torch.dtype) -> None:
        self.dtype = dtype
        self.rest = loaded_format(dtype)
        self.halved = set(matrices_of(blocks)) if dtype in HALF else set()

    def of(self, module: nn.Module) -> torch.dtype:
        return self.dtype if module in self.halved else self.rest


def _weights(hf_model: nn.Module, formats: _Formats) -> int:
    """Every parameter once, tied ones too, in the number format that it is kept in."""
    sizes = {
        id(own): own.numel() * formats.of(module).itemsize
        for module in hf_model.modules()
        for own in module.parameters(recurse=False)
    }
    return sum(sizes.values()) + sum(buffer.nbytes for buffer in hf_model.buffers())


def _packed(blocks: nn.Module, after: Iterable[nn.Module], formats: _Formats) -> int:
    """Matrices of all blocks, for prefixes, and of what runs after the site: each if it fits."""
    kept: dict[int, int] = {}
    for modules in (blocks.modules(), [part for one in after for part in one.modules()]):
        matrices: list[Any] = [
            one
            for one in modules
            if (type(one) in (nn.Linear, Conv1D) or one in formats.halved)
            and can_be_packed(formats.of(one))
        ]
        sizes = {id(one): one.weight.numel() * formats.of(one).itemsize for one in matrices}
        if sum(sizes.values()) <= PACKED_BYTES:
            kept |= sizes
    return sum(kept.values())


def _prefixes(config: PretrainedConfig, layers: int, workload: Workload, width: int) -> int:
    """Keys and values of all tokens but the last, in the layers after the site."""
    text = config.get_text_config(decoder=True)
    heads = int(text.num_attention_heads)
    shared = getattr(text, "num_key_value_heads", None) or heads
    if hasattr(text, "new_decoder_architecture"):
        # Falcon keeps the keys that heads share once for each head, but for its first architecture.
        shared = 1 if text.multi_query and not text.new_decoder_architecture else heads
    size = getattr(text, "head_dim", None) or text.hidden_size // heads
    tokens = workload.prompt_length - 1
    return workload.prompts * layers * 2 * int(shared) * int(size) * tokens * width


def _batch(config: PretrainedConfig, hf_model: Any, workload: Workload) -> int:
    text = config.get_text_config(decoder=True)
    d_vocab = int(hf_model.get_input_embeddings().weight.shape[0])
    widths = int(text.hidden_size), d_vocab if workload.logits else 0
    per_point = bytes_of_point(text, widths, 1, workload.prompt_length)
    limit = BATCH_BYTES["cpu" if workload.on_cpu else "cuda"]
    return max(per_point, min(workload.points * per_point, limit))
