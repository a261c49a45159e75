"""What a model computes on: the device and the threads, and whether its memory is used up."""

from __future__ import annotations

import torch


def device_facts(device: torch.device) -> dict[str, object]:
    """Name a device, and say what else decides the last bit of its results.

    Args:
        device: Where the model is.
    """
    facts: dict[str, object] = {"device": str(device), "threads": torch.get_num_threads()}
    if device.type == "cuda":
        facts["device_name"] = torch.cuda.get_device_name(device)
        facts["cuda"] = torch.version.cuda
        facts["tf32"] = torch.backends.cuda.matmul.allow_tf32
    return facts


def is_out_of_memory(error: Exception) -> bool:
    """Whether torch could not get the memory that it asked for."""
    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return True
    text = str(error)
    return "not enough memory" in text or "can't allocate memory" in text
