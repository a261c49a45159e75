"""steppe measures how a language model's output responds as one activation is moved along a path.

Public names are reached lazily: ``import steppe`` loads neither torch nor matplotlib.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from steppe import activations as activations
    from steppe import comparisons as comparisons
    from steppe import directions as directions
    from steppe import metrics as metrics
    from steppe import paths as paths
    from steppe import statistics as statistics
    from steppe import study as study
    from steppe.core.seeds import stream as stream
    from steppe.core.sites import Site as Site
    from steppe.execution.along import Lines as Lines
    from steppe.execution.along import along as along
    from steppe.execution.along import open_tables as open_tables
    from steppe.execution.calls import open_runs as open_runs
    from steppe.execution.calls import report as report
    from steppe.execution.calls import run as run
    from steppe.execution.sweep import sweep as sweep
    from steppe.metrics import measure as measure
    from steppe.models import load_model as load_model
    from steppe.models import load_prompts as load_prompts
    from steppe.propagation import propagate as propagate
    from steppe.propagation import propagate_in_batches as propagate_in_batches
    from steppe.propagation import read_activations as read_activations
    from steppe.propagation import read_residuals as read_residuals
    from steppe.reports.plot import plot as plot
    from steppe.sae import firing_rates as firing_rates
    from steppe.sae import load_sae as load_sae
    from steppe.store import open_run as open_run
    from steppe.study.crossings import crossings as crossings
    from steppe.study.registry import register_direction as register_direction
    from steppe.study.registry import register_kind as register_kind
    from steppe.study.registry import register_metric as register_metric
    from steppe.study.registry import register_path as register_path
    from steppe.study.registry import register_statistic as register_statistic
    from steppe.study.registry import register_study as register_study

__version__ = "0.1.0"

_NAMES = {
    "Site": "steppe.core.sites",
    "crossings": "steppe.study.crossings",
    "firing_rates": "steppe.sae",
    "load_prompts": "steppe.models",
    "load_sae": "steppe.sae",
    "load_model": "steppe.models",
    "measure": "steppe.metrics",
    "open_run": "steppe.store",
    "Lines": "steppe.execution.along",
    "along": "steppe.execution.along",
    "open_runs": "steppe.execution.calls",
    "open_tables": "steppe.execution.along",
    "plot": "steppe.reports.plot",
    "propagate": "steppe.propagation",
    "propagate_in_batches": "steppe.propagation",
    "read_activations": "steppe.propagation",
    "read_residuals": "steppe.propagation",
    "register_direction": "steppe.study.registry",
    "register_kind": "steppe.study.registry",
    "register_metric": "steppe.study.registry",
    "register_path": "steppe.study.registry",
    "register_statistic": "steppe.study.registry",
    "register_study": "steppe.study.registry",
    "run": "steppe.execution.calls",
    "stream": "steppe.core.seeds",
    "sweep": "steppe.execution.sweep",
    "report": "steppe.execution.calls",
}
_PACKAGES = ("activations", "comparisons", "directions", "paths", "metrics", "statistics", "study")

__all__ = ["__version__", *_NAMES, *_PACKAGES]


def __getattr__(name: str) -> Any:
    if name in _NAMES:
        return getattr(importlib.import_module(_NAMES[name]), name)
    if name in _PACKAGES:
        return importlib.import_module(f"steppe.{name}")
    raise AttributeError(f"module 'steppe' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
