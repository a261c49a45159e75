"""steppe measures how a language model's output responds as one activation is moved along a path.

Public names are reached lazily: ``import steppe`` loads neither torch nor matplotlib.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from steppe import activations as activations
    from steppe import comparisons as comparisons
    from steppe import paths as paths
    from steppe import readouts as readouts
    from steppe import statistics as statistics
    from steppe.core.sites import Site as Site
    from steppe.propagation import propagate as propagate
    from steppe.propagation import propagate_in_batches as propagate_in_batches
    from steppe.propagation import read_residuals as read_residuals
    from steppe.sae import firing_rates as firing_rates
    from steppe.sae import load_sae as load_sae
    from steppe.store import open_run as open_run
    from steppe.subject import load_prompts as load_prompts
    from steppe.subject import load_subject as load_subject

__version__ = "0.1.0"

_NAMES = {
    "Site": "steppe.core.sites",
    "firing_rates": "steppe.sae",
    "load_prompts": "steppe.subject",
    "load_sae": "steppe.sae",
    "load_subject": "steppe.subject",
    "open_run": "steppe.store",
    "propagate": "steppe.propagation",
    "propagate_in_batches": "steppe.propagation",
    "read_residuals": "steppe.propagation",
}
_PACKAGES = ("activations", "comparisons", "paths", "readouts", "statistics")

__all__ = [
    "Site",
    "__version__",
    "activations",
    "comparisons",
    "firing_rates",
    "load_prompts",
    "load_sae",
    "load_subject",
    "open_run",
    "paths",
    "propagate",
    "propagate_in_batches",
    "read_residuals",
    "readouts",
    "statistics",
]


def __getattr__(name: str) -> Any:
    if name in _NAMES:
        return getattr(importlib.import_module(_NAMES[name]), name)
    if name in _PACKAGES:
        return importlib.import_module(f"steppe.{name}")
    raise AttributeError(f"module 'steppe' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
