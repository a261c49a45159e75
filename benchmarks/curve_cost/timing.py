"""How long does something take? The best of several rounds, in which the ways take turns."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from time import perf_counter
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import linear
from transformers.pytorch_utils import Conv1D

from steppe.core.progress import progress
from steppe.models import Model

ROUNDS = 6
# A way that has taken so many seconds in all is not timed again for the sake of a better best.
_ENOUGH = 5.0


def best_seconds(
    ways: Mapping[str, Callable[[], Any]], label: str, device: torch.device
) -> dict[str, float]:
    """Time each of some ways: a warm-up, then rounds in which each has its turn.

    Args:
        ways: What to time, by name.
        label: What the progress bar says.
        device: Its work is waited for.
    """
    found = dict.fromkeys(ways, float("inf"))
    spent = dict.fromkeys(ways, 0.0)
    for round_ in range(ROUNDS + 1):
        for name in progress(ways, f"{label}, round {round_} of {ROUNDS}", total=len(ways)):
            if spent[name] > _ENOUGH:
                continue
            seconds = _timed(ways[name], device)
            spent[name] += seconds
            if round_ > 0 or seconds > _ENOUGH:
                found[name] = min(found[name], seconds)
    return found


def _timed(way: Callable[[], Any], device: torch.device) -> float:
    started = perf_counter()
    way()
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return perf_counter() - started


def matrices(model: Model, entry: int, *, unembedding: bool) -> list[Tensor]:
    """The matrices that a point is multiplied with after a site, each ``(out, in)``.

    Args:
        model: The model.
        entry: How many blocks lie before the site.
        unembedding: Whether logits are made.
    """
    parts: list[nn.Module] = list(model.anatomy.blocks[entry:])
    if unembedding and model.anatomy.unembedding is not None:
        parts.append(model.anatomy.unembedding)
    found = []
    for module in (inner for part in parts for inner in part.modules()):
        if isinstance(module, nn.Linear):
            found.append(module.weight.detach())
        elif isinstance(module, Conv1D):
            found.append(module.weight.detach().t())
    return found


def bare_multiplication(weights: list[Tensor], rows: int) -> Callable[[], None]:
    """Multiply rows with matrices and do nothing else: the machine's own rate for these shapes."""
    given = {
        (weight.shape[1], weight.dtype): torch.randn(rows, weight.shape[1]).to(weight)
        for weight in weights
    }

    def multiply() -> None:
        with torch.inference_mode():
            for weight in weights:
                linear(given[weight.shape[1], weight.dtype], weight)

    return multiply
