"""Load a function by name only when it is used, so that importing steppe stays cheap."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any


def load(address: str) -> Any:
    """Return the object at ``package.module:name``."""
    module, _, name = address.partition(":")
    return getattr(importlib.import_module(module), name)


def later(address: str) -> Callable[..., Any]:
    """The function at ``package.module:name``, which is loaded when it is first called."""

    def call(*given: Any, **named: Any) -> Any:
        return load(address)(*given, **named)

    return call
