"""A study as one object.

Torch is loaded by what measures alone: parts and wholes of the built-in studies, and what prepares
them, are functions that are loaded when they are called (`steppe.core.lazy.later`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import xarray as xr

from steppe.core.lazy import load
from steppe.settings.study_settings import BaseSettings, SiteSettings
from steppe.study.analysis import Analysis
from steppe.study.claims import Claim
from steppe.study.needs import Need, as_need
from steppe.study.outputs import Figure, Record, Table

Derive = Callable[[Any], xr.DataArray]
CLAIMS_CAPTION = (
    "Each claim is decided by one number, positive where it holds, with a 95% interval over base "
    "prompts. It holds where the whole interval is positive."
)


@dataclass(frozen=True)
class Study:
    """A study: what is measured, and what is made of it.

    Attributes:
        name: As typed on the command line and in YAML files.
        question: What it asks, in one line.
        parts: From settings to the datasets it measures (`Part`).
        settings: The class of its settings, with a field ``study`` of the study's name.
        paper: What it reproduces; empty for a study of your own.
        wholes: From settings to the small datasets that are measured in one go (`WholePart`).
        derived: Quantities made from the datasets when a table, figure or claim first asks.
        tables: What is tabulated.
        figures: What is drawn.
        records: What is written for other tools.
        claims: Statements that the run decides; where what was measured decides which, a function
            of its analysis.
        claims_caption: What is said under them in place of the general words.
        facts: Further lines of the summary, from the analysis.
        analysis: What tables, figures and claims are made from.
        prepare: From the context to constants that are measured before the first part; they join
            the run's configuration.
    """

    name: str
    question: str
    parts: Callable[[Any], Sequence[Any]]
    settings: type[SiteSettings] = BaseSettings
    paper: str = ""
    wholes: Callable[[Any], Sequence[Any]] = lambda _settings: ()
    derived: Mapping[str, Derive] = field(default_factory=dict)
    tables: Sequence[Table] = ()
    figures: Sequence[Figure] = ()
    records: Sequence[Record] = ()
    claims: Sequence[Claim] | Callable[[Any], Sequence[Claim]] = ()
    claims_caption: str | Callable[[Any], str] = CLAIMS_CAPTION
    facts: Callable[[Any], Mapping[str, object]] | None = None
    analysis: type[Analysis] = Analysis
    prepare: Callable[[Any], Mapping[str, Any]] | None = None

    def plan(self, settings: SiteSettings, given: Any = None) -> Any:
        """What a run measures and what it leaves out (`steppe.study.plan.Plan`); reads no weights.

        Raises:
            InputError: Nothing is left to measure, or a fixed direction has no source.
        """
        return load("steppe.study.plan:plan_of")(self, settings, given)

    @property
    def outputs(self) -> tuple[Table | Figure | Record, ...]:
        """Tables, figures, and what is written for other tools."""
        return (*self.tables, *self.figures, *self.records)

    def wants(self, analysis: Analysis, names: Sequence[str], needs: Sequence[str | Need]) -> bool:
        """Whether a table, figure or claim of a run is to be made.

        Args:
            analysis: The run; its settings' ``only`` may single out some, or parts.
            names: The output, or those that a claim belongs to.
            needs: What it is made from.
        """
        only = {*getattr(analysis.settings, "only", ())}
        if not only:
            return True
        datasets = {as_need(need).dataset for need in needs}
        # A name that a part has as well stands for the part, and all that is made of it; the parts
        # are those that were measured, so that nothing that measures is loaded.
        singled_out = only & {one.name for one in self.outputs} - {*analysis.run.datasets()}
        return not singled_out or not names or bool(only & {*names, *datasets})
