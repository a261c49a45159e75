"""On what does a model compute? The device and the threads, as plain data for a provenance."""

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
