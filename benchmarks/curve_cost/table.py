"""How is a measured figure told? One line each, with what it is compared to."""

from __future__ import annotations

import os
import platform
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
import transformers


@dataclass(frozen=True)
class Figure:
    """One measured figure.

    Attributes:
        part: Which part of the benchmark it belongs to.
        what: What was timed.
        metrics: What was read, for instance ``l2`` or ``l2 kl cosine``.
        seconds: Per curve, or as ``what`` says.
        share: Of the machine's own rate for these matrices, 1 for all of it; None where that does
            not apply.
        ratio: How many times as fast as the slowest way of the same part and metrics; None where
            there is only one way.
        note: What else is to be known.
    """

    part: str
    what: str
    metrics: str
    seconds: float
    share: float | None = None
    ratio: float | None = None
    note: str = ""


@dataclass(frozen=True)
class Report:
    """What was measured, on which machine.

    Attributes:
        model: The model.
        machine: Processor, threads and versions.
        figures: The figures.
    """

    model: str
    machine: dict[str, Any]
    figures: tuple[Figure, ...]

    def as_dict(self) -> dict[str, Any]:
        """Plain data."""
        return asdict(self)

    def __str__(self) -> str:
        machine = ", ".join(f"{key} {value}" for key, value in self.machine.items())
        lines = [f"{self.model} on {machine}"]
        part = ""
        for figure in self.figures:
            if figure.part != part:
                part = figure.part
                lines += ["", f"{part:<44}{'metrics':<14}{'ms':>10}{'of matrix rate':>16}{'':>9}"]
            share = "" if figure.share is None else f"{figure.share:.0%}"
            ratio = "" if figure.ratio is None else f"{figure.ratio:.1f}x"
            lines.append(
                f"  {figure.what:<42}{figure.metrics:<14}{1e3 * figure.seconds:>10.2f}"
                f"{share:>16}{ratio:>9}  {figure.note}".rstrip()
            )
        return "\n".join(lines)


def machine(device: torch.device) -> dict[str, Any]:
    """What decides how fast this process computes."""
    found: dict[str, Any] = {"processor": _processor(), "cores": os.cpu_count()}
    found |= {"threads": torch.get_num_threads(), "torch": torch.__version__}
    found["transformers"] = transformers.__version__
    if device.type == "cuda":
        found["device"] = torch.cuda.get_device_name(device)
        found["peak GB"] = round(torch.cuda.max_memory_allocated(device) / 1e9, 1)
    return found


def _processor() -> str:
    information = Path("/proc/cpuinfo")
    if information.exists():
        for line in information.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()
