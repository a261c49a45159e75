"""Batch sizes that keep the points that run together within the memory that may be used.

The size of a batch follows from shapes alone, and so do the numbers, down to the last bit. Only
where even that does not fit in the budget, or memory runs out all the same, is it halved, which
changes digits of paths in half precision, and is told there.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import torch

from steppe.core.errors import RunFailedError
from steppe.core.progress import tell
from steppe.models.half_precision import HALF
from steppe.models.model import Model

# On a processor: small enough for large caches and small machines, large enough for the fastest
# multiplication. A GPU takes as long for a few rows as for thousands.
BATCH_BYTES = {"cpu": 256 * 2**20, "cuda": 8 * 2**30}
_POSITIONS = {"cpu": 1, "cuda": 2**14}
_SHARE = 0.5
_BYTES = 4
# Rows alive at once inside a block, in units of d_model: stream, norm, hidden layer and its
# activation, queries, keys and values.
_WIDTHS = 16

_budget: int | None = None


def set_memory_budget(budget: int | None) -> None:
    """Say how much memory the points of one batch may take, as threads are set: process-wide.

    Args:
        budget: Bytes beyond the weights; None: half of what is free when a batch is planned.
    """
    global _budget
    _budget = budget


def asked_memory_budget() -> int | None:
    """What `set_memory_budget` was given last."""
    return _budget


def memory_budget(device: torch.device) -> int:
    """Bytes that a batch may take on a device."""
    return int(_SHARE * free_memory(device)) if _budget is None else _budget


def free_memory(device: torch.device) -> int:
    """Bytes that are free on a device, as far as can be told."""
    if device.type == "cuda":
        return int(torch.cuda.mem_get_info(device)[0])
    meminfo = Path("/proc/meminfo")
    if meminfo.exists():
        for line in meminfo.read_text().splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) * 1024
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2


def bytes_per_point(model: Model, positions: int, length: int, *, logits: bool) -> int:
    """Memory that one point needs while it runs.

    Args:
        model: The model.
        positions: How many positions run for it.
        length: Tokens of the prompt, which attention sees.
        logits: Whether logits are made.
    """
    config = model.hf_model.config.get_text_config(decoder=True)
    widths = model.d_model, model.d_vocab if logits else 0
    return bytes_of_point(config, widths, positions, length)


def bytes_of_point(config: Any, widths: tuple[int, int], positions: int, length: int) -> int:
    """The same from a text model's configuration.

    Args:
        config: Says how many heads there are.
        widths: Of the residual stream and of the logits; 0: no logits are made.
        positions: How many positions run for a point.
        length: Tokens of the prompt.
    """
    heads = int(getattr(config, "num_attention_heads", 1) or 1)
    per_position = _WIDTHS * widths[0] + 2 * heads * length + 2 * widths[1]
    return _BYTES * positions * per_position


def points_per_batch(model: Model, points: int, per_point: int) -> int:
    """How many of some points run as one batch.

    Args:
        model: The model; its device says which memory.
        points: How many there are.
        per_point: Bytes, from `bytes_per_point`.
    """
    size = max(1, min(points, of_device(BATCH_BYTES, model.device) // per_point))
    budget = memory_budget(model.device)
    while size > 1 and size * per_point > budget:
        size //= 2
    return size


def tell_of_cut(model: Model, size: int, points: int, per_point: int) -> None:
    """Say, once for the same sizes, that memory decides digits of a path in half precision.

    Args:
        model: The model; of another number format nothing is said.
        size: How many points of a path run at once.
        points: How many it has.
        per_point: Bytes, from `bytes_per_point`.
    """
    by_shape = max(1, min(points, of_device(BATCH_BYTES, model.device) // per_point))
    if model.dtype in HALF and size < by_shape:
        _tell_once(
            f"memory is left for {size} of {by_shape} points of a path at once. In half precision "
            "other batches round otherwise: go on with this run with as much memory, or with "
            "--memory-budget"
        )


_tell_once = cache(tell)


def prompts_together(model: Model, length: int) -> int:
    """How many prompts of a length run in one batch, by the device alone.

    One on a processor: the paths of a prompt fill its units, and what one prompt gives depends on
    no other. On a GPU each forward pass costs some 5 ms before anything is computed.

    Args:
        model: The model.
        length: Tokens of a prompt.
    """
    return max(1, of_device(_POSITIONS, model.device) // length)


def of_device(sizes: Mapping[str, int], device: torch.device) -> int:
    """What holds for a device: the size for a processor, or that for everything faster."""
    return sizes["cpu" if device.type == "cpu" else "cuda"]


def out_of_memory(model: Model, per_point: int) -> RunFailedError:
    """The error for a point of so many bytes that does not fit in memory."""
    return RunFailedError(
        f"memory of {model.device}",
        got="none left for a single point",
        expected=f"about {per_point / 2**20:.0f} MiB beyond the weights",
        fix="use shorter prompts, --dtype bfloat16, or a machine with more memory",
    )
