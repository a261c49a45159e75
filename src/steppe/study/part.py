"""One dataset of a study: what it holds, what it needs, and how its samples are measured."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol, TypeVar

import numpy as np
import xarray as xr

from steppe.core.axes import POSITION, SAMPLE
from steppe.store import Template, Variable
from steppe.study.code_identity import code_of
from steppe.study.context import Arrays, Context
from steppe.study.needs import Need

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

    def only(self, needs: Sequence[Need]) -> Part:
        """What of it the outputs need that were singled out."""

    @property
    def definition(self) -> dict[str, Any]:
        """What it measures, as plain data: a run goes on with the same definition alone."""

    def spec(self, context: Context[Any]) -> Template | None:
        """Its variables, labels and sizes; None where this run has nothing of it."""

    def measure(self, context: Context[Any], samples: range) -> Arrays:
        """Measure some samples: every variable with a sample axis, these samples only."""


def points_of(part: object, settings: Any) -> int | None:
    """How many points a part runs, before any weight is read; None: it cannot tell yet."""
    told: Callable[[Any], int | None] | None = getattr(part, "points_of", None)
    return None if told is None else told(settings)


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
            attrs=attributes(context),
        ),
        sizes={**sizes, POSITION: context.prompts.tokens.shape[1]},
    )


def attributes(context: Context[Any]) -> dict[str, str | float]:
    """What a dataset says of itself: the model, the sites, and what the study measured first."""
    reading = getattr(context.settings, "reading", None)
    return {
        "model": context.model.name,
        # Not "coordinates": xarray takes that attribute for its own.
        "residual_coordinates": context.model.coordinates,
        "site": context.site.name,
        "read": context.read.name,
        **({} if reading is None else {"reading": reading}),
        **{k: v for k, v in context.constants.items() if isinstance(v, str | int | float)},
    }


@dataclass(frozen=True)
class FunctionPart:
    """A part that functions lay out and measure.

    Attributes:
        name: Name of the dataset.
        lay_out: Its variables, labels and sizes; `dataset_spec` makes most of them.
        function: Measures some samples.
        needs: What it cannot be measured without.
        sae_adds: What of it needs an SAE, in words, where the rest is measured without one.
        points: From settings to how many points it runs; None: as its layout says, or not told.
    """

    name: str
    lay_out: Callable[[Context[Any]], Template | None]
    function: Callable[[Context[Any], range], Arrays]
    needs: frozenset[str] = frozenset()
    sae_adds: str = ""
    points: Callable[[Any], int] | None = None

    def points_of(self, settings: Any) -> int | None:
        """How many points it runs, before any weight is read; None: that cannot be told yet."""
        told = self.points or getattr(self.lay_out, "points_of", None)
        return None if told is None else told(settings)

    @property
    def definition(self) -> dict[str, Any]:
        """The functions that lay it out and measure it."""
        return {name: code_of(getattr(self, name)) for name in ("lay_out", "function")}

    def without_sae(self) -> FunctionPart | None:
        """Itself, where it needs no SAE, or not for all of it."""
        return _without_sae(self)

    def only(self, needs: Sequence[Need]) -> FunctionPart:  # noqa: ARG002
        """Itself, whole."""
        return self

    def spec(self, context: Context[Any]) -> Template | None:
        """Its variables, labels and sizes."""
        return self.lay_out(context)

    def measure(self, context: Context[Any], samples: range) -> Arrays:
        """Measure some samples."""
        return self.function(context, samples)


@dataclass(frozen=True)
class WholePart:
    """A small dataset that is measured in one go, anew where a run is extended by more samples.

    Attributes:
        name: Name of the dataset.
        function: Measures it.
        needs: What it cannot be measured without.
        sae_adds: What of it needs an SAE, in words, where the rest is measured without one.
    """

    name: str
    function: Callable[[Context[Any]], xr.Dataset]
    needs: frozenset[str] = frozenset()
    sae_adds: str = ""

    def without_sae(self) -> WholePart | None:
        """Itself, where it needs no SAE, or not for all of it."""
        return _without_sae(self)

    @property
    def definition(self) -> dict[str, Any]:
        """The function that measures it."""
        return {"function": code_of(self.function)}

    def only(self, needs: Sequence[Need]) -> WholePart:  # noqa: ARG002
        """Itself, whole."""
        return self


P = TypeVar("P", FunctionPart, WholePart)


def _without_sae(part: P) -> P | None:
    if "sae" not in part.needs:
        return part
    return replace(part, needs=part.needs - {"sae"}) if part.sae_adds else None


@dataclass(frozen=True)
class ControlPart:
    """A part measured on the same architecture with weights drawn anew.

    Attributes:
        name: Name of the dataset.
        part: What is measured; it may not need an SAE.
    """

    name: str
    part: Part

    def points_of(self, settings: Any) -> int | None:
        """As many as the part."""
        return points_of(self.part, settings)

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

    def only(self, needs: Sequence[Need]) -> ControlPart:
        """The same control of what the outputs need of the part."""
        return ControlPart(self.name, self.part.only(needs))

    def spec(self, context: Context[Any]) -> Template | None:
        """That of the part, on the untrained model."""
        return self.part.spec(context.untrained)

    def measure(self, context: Context[Any], samples: range) -> Arrays:
        """Measure some samples on the untrained model."""
        return self.part.measure(context.untrained, samples)
