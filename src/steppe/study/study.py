"""A study as one object, and what a run of it measures and leaves out."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import xarray as xr

from steppe.core.errors import InputError
from steppe.study.analysis import Analysis
from steppe.study.claims import Claim
from steppe.study.context import Context
from steppe.study.given import Given
from steppe.study.outputs import Figure, Table
from steppe.study.part import Part, WholePart
from steppe.study.settings import BaseSettings

Derive = Callable[[Analysis], xr.DataArray]


@dataclass(frozen=True)
class Study:
    """A study: what is measured, and what is made of it.

    Attributes:
        name: As typed on the command line and in YAML files.
        question: What it asks, in one line.
        parts: From settings to the datasets it measures.
        settings: The class of its settings, with a field ``recipe`` of the study's name.
        paper: What it reproduces; empty for a study of your own.
        wholes: From settings to the small datasets that are measured in one go.
        derived: Quantities made from the datasets when a table, figure or claim first asks.
        tables: What is tabulated.
        figures: What is drawn.
        claims: Statements that the run decides.
        prepare: Measures constants before the first part; they join the run's configuration.
    """

    name: str
    question: str
    parts: Callable[[Any], Sequence[Part]]
    settings: type[BaseSettings] = BaseSettings
    paper: str = ""
    wholes: Callable[[Any], Sequence[WholePart]] = lambda _settings: ()
    derived: Mapping[str, Derive] = field(default_factory=dict)
    tables: Sequence[Table] = ()
    figures: Sequence[Figure] = ()
    claims: Sequence[Claim] = ()
    prepare: Callable[[Context[Any]], Mapping[str, Any]] | None = None

    def plan(self, settings: BaseSettings, given: Given | None = None) -> Plan:
        """What a run measures and what it leaves out; reads no weights.

        Raises:
            InputError: Nothing is left to measure.
        """
        objects = given or Given()
        has_sae = objects.sae is not None or settings.has_sae
        parts, left_out = [], {}
        for part in self.parts(settings):
            kept: Part | None = part if has_sae or "sae" not in part.needs else part.without_sae()
            if kept is not None:
                parts.append(kept)
            gone = _gone(part, kept)
            if gone:
                left_out[gone] = "it needs an SAE of the site (--sae)"
        wholes = []
        for whole in self.wholes(settings):
            if has_sae or "sae" not in whole.needs:
                wholes.append(whole)
            else:
                left_out[whole.name] = "it needs an SAE of the site (--sae)"
        if not parts and not wholes:
            raise InputError(
                f"study {self.name} on {settings.subject}",
                got="nothing that could be measured: "
                + "; ".join(f"{name}: {why}" for name, why in left_out.items()),
                expected="what at least one part needs",
                fix="give an SAE of the site with --sae",
            )
        return Plan(tuple(parts), tuple(wholes), left_out)


@dataclass(frozen=True)
class Plan:
    """What a run measures.

    Attributes:
        parts: The datasets that are filled shard by shard.
        wholes: Those measured in one go.
        left_out: What is left out, and why.
    """

    parts: tuple[Part, ...]
    wholes: tuple[WholePart, ...]
    left_out: Mapping[str, str]

    @property
    def needs(self) -> frozenset[str]:
        """What all of it together cannot do without."""
        parts: tuple[Part | WholePart, ...] = (*self.parts, *self.wholes)
        return frozenset[str]().union(*(part.needs for part in parts))


def _gone(part: Part, kept: Part | None) -> str:
    """What of a part is left out, in words; empty for nothing."""
    if kept is None:
        return part.name
    before, after = getattr(part, "kinds", ()), getattr(kept, "kinds", ())
    missing = [kind for kind in before if kind not in after]
    return f"{part.name} ({', '.join(missing)})" if missing else ""
