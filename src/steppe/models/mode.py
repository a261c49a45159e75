"""Evaluation mode for as long as it is needed: a user's own model is given back as it came."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from torch import nn


@contextmanager
def evaluating(model: nn.Module) -> Iterator[None]:
    """Run a model without dropout meanwhile, also where parts of it are in training mode.

    Args:
        model: Every module that was in training mode is in it again afterwards.
    """
    training = [module for module in model.modules() if module.training]
    for module in training:
        module.training = False
    try:
        yield
    finally:
        for module in training:
            module.training = True
