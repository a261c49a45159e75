"""One dataset of a study: what it holds, what it needs, and how its samples are measured."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, Protocol

import numpy as np
import torch
import xarray as xr
from torch import Tensor

from steppe.activations import KINDS
from steppe.core.axes import KIND, MODE, POSITION, SAMPLE, STEP
from steppe.paths import PATHS, Ends, lay_path
from steppe.readouts import Readout, find_readouts, measure_paths, needs_logits, read_sites
from steppe.store import Template, Variable
from steppe.study.context import Arrays, Bases, Context

SHARD_SIZE = 20


class Part(Protocol):
    """A dataset that is filled shard by shard."""

    @property
    def name(self) -> str:
        """Name of the dataset."""

    @property
    def needs(self) -> frozenset[str]:
        """What it cannot be measured without: ``pool``, ``moments``, ``sae``."""

    def without_sae(self) -> Part | None:
        """What is left of it where there is no SAE; None when that is nothing."""

    @property
    def definition(self) -> dict[str, Any]:
        """What it measures, as plain data: a run goes on with the same definition alone."""

    def spec(self, context: Context[Any]) -> Template:
        """Its variables, labels and sizes."""

    def measure(self, context: Context[Any], samples: range) -> Arrays:
        """Measure some samples: every variable with a sample axis, these samples only."""


def code_of(function: Callable[..., Any] | None) -> str:
    """What tells a function from another: its name, and for one of somebody's own its source.

    steppe's own functions are told apart by their names: its version and commit are in the
    provenance.
    """
    whole = getattr(function, "func", function)
    name = f"{getattr(whole, '__module__', '')}:{getattr(whole, '__qualname__', '')}"
    if whole is None or name.startswith("steppe."):
        return name if whole is not None else ""
    code = getattr(whole, "__code__", None)
    parts = (code.co_code, repr(code.co_consts), repr(code.co_names)) if code else (repr(name),)
    digest = hashlib.sha256(repr(parts).encode()).hexdigest()[:12]
    return f"{name} {digest}"


def dataset_spec(
    context: Context[Any],
    variables: Mapping[str, Variable],
    *,
    labels: Mapping[str, Sequence[str]],
    sizes: Mapping[str, int],
    coordinates: Mapping[str, Any] | None = None,
    at_most: int | None = None,
) -> Template:
    """A dataset of a study, with what is stored of its bases.

    Args:
        context: Gives the samples, and what the dataset says of itself.
        variables: What is filled shard by shard.
        labels: Names along the dimensions that have some.
        sizes: Lengths of the other dimensions.
        coordinates: Further coordinates, as xarray takes them.
        at_most: For a part of few samples: how many. They are shared out one by one.
    """
    named = {dim: (dim, np.array(names, dtype=object)) for dim, names in labels.items()}
    samples = context.settings.samples
    return Template(
        samples=samples if at_most is None else min(samples, at_most),
        shard_size=SHARD_SIZE if at_most is None else 1,
        variables={
            **variables,
            "base_norm": Variable((SAMPLE,), "residual stream", "norm of the base"),
            "tokens": Variable((SAMPLE, POSITION), "token", "the base's prompt", "int64"),
            "base_row": Variable((SAMPLE,), "1", "row of the base's prompt", "int64"),
        },
        fixed=xr.Dataset(
            coords={**named, **(coordinates or {})},
            attrs={
                "subject": context.subject.name,
                # Not "coordinates": xarray takes that attribute for its own.
                "residual_coordinates": context.subject.coordinates,
                "site": context.site.name,
                "read": context.read.name,
            },
        ),
        sizes={**sizes, POSITION: context.prompts.tokens.shape[1]},
    )


@dataclass(frozen=True)
class FunctionPart:
    """A part that functions lay out and measure.

    Attributes:
        name: Name of the dataset.
        lay_out: Its variables, labels and sizes; `dataset_spec` makes most of them.
        function: Measures some samples.
        needs: What it cannot be measured without.
    """

    name: str
    lay_out: Callable[[Context[Any]], Template]
    function: Callable[[Context[Any], range], Arrays]
    needs: frozenset[str] = frozenset()

    @property
    def definition(self) -> dict[str, Any]:
        """The functions that lay it out and measure it."""
        return {name: code_of(getattr(self, name)) for name in ("lay_out", "function")}

    def without_sae(self) -> FunctionPart | None:
        """Itself, where it needs no SAE."""
        return None if "sae" in self.needs else self

    def spec(self, context: Context[Any]) -> Template:
        """Its variables, labels and sizes."""
        return self.lay_out(context)

    def measure(self, context: Context[Any], samples: range) -> Arrays:
        """Measure some samples."""
        return self.function(context, samples)


@dataclass(frozen=True)
class WholePart:
    """A small dataset that is measured in one go.

    Attributes:
        name: Name of the dataset.
        function: Measures it.
        needs: What it cannot be measured without.
    """

    name: str
    function: Callable[[Context[Any]], xr.Dataset]
    needs: frozenset[str] = frozenset()


@dataclass(frozen=True)
class CurvePart:
    """Metrics along paths from real bases to targets of several kinds.

    Its dataset has one variable per metric with the dimensions kind, mode, sample, step; ``mode``
    is the path. ``<path>_position`` says where a step of each path lies, in the path's unit.

    Attributes:
        name: Name of the dataset.
        kinds: Kinds of target, names of `steppe.activations.KINDS`; or, where ``targets`` is given,
            the labels of what it returns.
        paths: Names of `steppe.paths.PATHS`.
        metrics: Names of metrics, or metrics; ``l2@<site>`` reads at that site.
        n_points: Points of a path, the base and the end included.
        targets: Makes the targets itself, by kind, ``(sample, d_model)`` each.
        further_needs: What ``targets`` cannot do without.
    """

    name: str
    kinds: Sequence[str]
    paths: Sequence[str] = ("linear",)
    metrics: Sequence[str | Readout] = ("l2",)
    n_points: int = 101
    targets: Callable[[Context[Any], Bases], Mapping[str, Tensor]] | None = None
    further_needs: frozenset[str] = field(default_factory=frozenset)

    @property
    def needs(self) -> frozenset[str]:
        """What its kinds and paths cannot be made without."""
        made = [PATHS.find(path).needs for path in self.paths]
        if self.targets is None:
            made += [KINDS.find(kind).needs for kind in self.kinds]
        return self.further_needs.union(*made)

    @property
    def definition(self) -> dict[str, Any]:
        """Kinds, paths and metrics, with the code of those that are somebody's own."""
        kinds = {kind: code_of(KINDS[kind].make) for kind in self.kinds if kind in KINDS}
        return {
            "kinds": list(self.kinds) if self.targets else kinds,
            "targets": code_of(self.targets),
            "paths": {path: code_of(PATHS.find(path).lay) for path in self.paths},
            "metrics": {one.name: code_of(one.measure) for one in self._readouts},
            "n_points": self.n_points,
        }

    def without_sae(self) -> CurvePart | None:
        """The same part without the kinds that need an SAE."""
        if self.targets is not None:
            return None if "sae" in self.needs else self
        kinds = [kind for kind in self.kinds if "sae" not in KINDS.find(kind).needs]
        return replace(self, kinds=kinds) if kinds else None

    @cached_property
    def _readouts(self) -> list[Readout]:
        return find_readouts(self.metrics)

    def spec(self, context: Context[Any]) -> Template:
        """One variable per metric, and where the steps lie."""
        dims = (KIND, MODE, SAMPLE, STEP)
        chosen = [PATHS.find(path) for path in self.paths]
        return dataset_spec(
            context,
            {one.name: Variable(dims, one.unit, one.long_name) for one in self._readouts}
            | {"target_distance": Variable((KIND, SAMPLE), "residual stream", "base to target")},
            labels={KIND: self.kinds, MODE: self.paths},
            sizes={STEP: self.n_points},
            coordinates={
                f"{path.name}_position": (
                    STEP,
                    np.linspace(0, path.end, self.n_points),
                    {"unit": path.unit, "long_name": f"where a step of a {path.name} path lies"},
                )
                for path in chosen
            },
        )

    def measure(self, context: Context[Any], samples: range) -> Arrays:
        """Measure every kind and path of some samples."""
        bases = context.bases(samples)
        make = self.targets or (lambda context, bases: context.targets(bases, self.kinds))
        targets = make(context, bases)
        around = any("pool" in PATHS.find(path).needs for path in self.paths)
        center = context.center if around else None
        ends = {
            kind: Ends(bases.activations, targets[kind], center, context.centered)
            for kind in self.kinds
        }
        laid = [
            lay_path(path, ends[kind], self.n_points) for kind in self.kinds for path in self.paths
        ]
        shape = (len(self.kinds), len(self.paths), self.n_points)
        found: dict[str, list[Any]] = {one.name: [] for one in self._readouts}
        reads, logits = read_sites(self._readouts, context.read), needs_logits(self._readouts)
        with context.suffix(read=reads, logits=logits) as suffix:
            for sample, prefix in enumerate(bases.prefixes):
                points = torch.stack([paths[sample] for paths in laid])
                curves = measure_paths(suffix, prefix, points, self._readouts, context.read)
                for name, values in curves.items():
                    found[name].append(values.reshape(shape))
        distances = [(targets[kind] - bases.activations).norm(dim=1) for kind in self.kinds]
        return {
            **{name: np.stack(values, axis=2) for name, values in found.items()},
            "target_distance": torch.stack(distances).numpy(),
            **bases.variables(),
        }


@dataclass(frozen=True)
class ControlPart:
    """A part measured on the same architecture with weights drawn anew.

    Attributes:
        name: Name of the dataset.
        part: What is measured; it may not need an SAE.
    """

    name: str
    part: Part

    @property
    def needs(self) -> frozenset[str]:
        """What the part cannot be measured without."""
        return self.part.needs

    @property
    def definition(self) -> dict[str, Any]:
        """That of the part."""
        return self.part.definition

    def without_sae(self) -> ControlPart | None:
        """The same control of what is left of the part."""
        kept = self.part.without_sae()
        return None if kept is None else ControlPart(self.name, kept)

    def spec(self, context: Context[Any]) -> Template:
        """That of the part, on the untrained model."""
        return self.part.spec(context.untrained)

    def measure(self, context: Context[Any], samples: range) -> Arrays:
        """Measure some samples on the untrained model."""
        return self.part.measure(context.untrained, samples)
