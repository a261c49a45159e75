"""What this machine computes with: device, precision, memory allocation."""

from __future__ import annotations

import ctypes
import ctypes.util

import torch

KEEP_FREED_MEMORY = ((-3, 1 << 30), (-1, 1 << 30), (-2, 1 << 27))
"""glibc's M_MMAP_THRESHOLD, M_TRIM_THRESHOLD and M_TOP_PAD, in bytes."""


def best_device() -> str:
    """Returns "cuda" where there is a GPU, else "cpu"."""
    return "cuda" if torch.cuda.is_available() else "cpu"


def fast_precision(device: str) -> torch.dtype:
    """Returns bfloat16 where the device multiplies it natively, else float32."""
    if device == "cuda" or torch.cpu._is_avx512_bf16_supported():
        return torch.bfloat16
    return torch.float32


def keep_freed_memory() -> None:
    """Asks the C library to reuse freed memory instead of returning it to the system.

    Each training step frees and takes the same hundreds of megabytes; page faults for them cost
    a tenth of the throughput on a CPU. Does nothing where there is no glibc.
    """
    library = ctypes.CDLL(ctypes.util.find_library("c"))
    if not hasattr(library, "mallopt"):
        return
    for parameter, value in KEEP_FREED_MEMORY:
        library.mallopt(parameter, value)
