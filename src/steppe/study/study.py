"""A study as one object, and what a run of it measures and leaves out."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import xarray as xr

from steppe.core.errors import InputError
from steppe.directions.resolve import fixed_among
from steppe.settings.study_settings import BaseSettings, SiteSettings
from steppe.study.analysis import Analysis
from steppe.study.claims import Claim
from steppe.study.context import Context
from steppe.study.curve_part import CurvePart
from steppe.study.given import Given
from steppe.study.needs import Need, as_need
from steppe.study.next_tokens import NextTokens
from steppe.study.outputs import Figure, Record, Table
from steppe.study.part import FunctionPart, Part, WholePart

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
        parts: From settings to the datasets it measures.
        settings: The class of its settings, with a field ``study`` of the study's name.
        paper: What it reproduces; empty for a study of your own.
        wholes: From settings to the small datasets that are measured in one go.
        derived: Quantities made from the datasets when a table, figure or claim first asks.
        tables: What is tabulated.
        figures: What is drawn.
        records: What is written for other tools.
        claims: Statements that the run decides; where what was measured decides which, a function
            of its analysis.
        claims_caption: What is said under them in place of the general words.
        facts: Further lines of the summary, from the analysis.
        analysis: What tables, figures and claims are made from.
        prepare: Measures constants before the first part; they join the run's configuration.
    """

    name: str
    question: str
    parts: Callable[[Any], Sequence[Part]]
    settings: type[SiteSettings] = BaseSettings
    paper: str = ""
    wholes: Callable[[Any], Sequence[WholePart]] = lambda _settings: ()
    derived: Mapping[str, Derive] = field(default_factory=dict)
    tables: Sequence[Table] = ()
    figures: Sequence[Figure] = ()
    records: Sequence[Record] = ()
    claims: Sequence[Claim] | Callable[[Any], Sequence[Claim]] = ()
    claims_caption: str | Callable[[Any], str] = CLAIMS_CAPTION
    facts: Callable[[Any], Mapping[str, object]] | None = None
    analysis: type[Analysis] = Analysis
    prepare: Callable[[Context[Any]], Mapping[str, Any]] | None = None

    def plan(self, settings: SiteSettings, given: Given | None = None) -> Plan:
        """What a run measures and what it leaves out; reads no weights.

        Raises:
            InputError: Nothing is left to measure, or a fixed direction has no source.
        """
        objects = given or Given()
        has_sae = objects.sae is not None or settings.has_sae
        every: list[Part | WholePart] = [*self.parts(settings), *self.wholes(settings)]
        said = int(getattr(settings, "next_tokens", 0))
        kept: list[Part | WholePart] = []
        left_out = {}
        for part in self._singled_out(settings, every):
            rest = part if has_sae or "sae" not in part.needs else part.without_sae()
            if rest is not None:
                kept.append(rest)
            gone = _gone(part, rest)
            if gone:
                left_out[gone] = "it needs an SAE of the site (--sae)"
        kept += [
            NextTokens(part, said)
            for part in kept
            if said and isinstance(part, CurvePart) and part.reads_logits
        ]
        if not kept:
            raise InputError(
                f"study {self.name} on {settings.model}",
                got="nothing that could be measured: "
                + "; ".join(f"{name}: {why}" for name, why in left_out.items()),
                expected="what at least one part needs",
                fix="give an SAE of the site with --sae",
            )
        # Sources of fixed directions that do not exist are told before weights are read.
        fixed_among(need for part in kept for need in part.needs)
        return Plan(
            parts=tuple(part for part in kept if not isinstance(part, WholePart)),
            wholes=tuple(part for part in kept if isinstance(part, WholePart)),
            left_out=left_out,
            uses_sae=has_sae and any("sae" in part.needs for part in every),
        )

    def _singled_out(
        self, settings: SiteSettings, parts: Sequence[Part | WholePart]
    ) -> list[Part | WholePart]:
        """The parts, or what is needed of them for what the setting ``only`` names."""
        only: Sequence[str] = getattr(settings, "only", ())
        asked = [need for one in self._outputs if one.name in only for need in one.needs]
        needs = [*map(as_need, asked), *map(Need, {*only} & {part.name for part in parts})]
        # Words of the study's own it sees to itself; a derived quantity may be made from any part.
        own = not needs and not {*only} & {one.name for one in self._outputs}
        if own or any(need.dataset in self.derived for need in needs):
            return [*parts]
        found = [(part, [n for n in needs if n.dataset == part.name]) for part in parts]
        return [part.only(of_it) for part, of_it in found if of_it]

    @property
    def _outputs(self) -> tuple[Table | Figure | Record, ...]:
        return (*self.tables, *self.figures, *self.records)

    def wants(self, settings: Any, names: Sequence[str], needs: Sequence[str | Need]) -> bool:
        """Whether a table, figure or claim is to be made.

        Args:
            settings: What was asked: ``only`` may single out some, or parts.
            names: The output, or those that a claim belongs to.
            needs: What it is made from.
        """
        only = {*getattr(settings, "only", ())}
        datasets = {as_need(need).dataset for need in needs}
        # A name that a part has as well stands for the part, and all that is made of it.
        parts = {one.name for one in self.parts(settings)} | {
            one.name for one in self.wholes(settings)
        }
        singled_out = only & {one.name for one in self._outputs} - parts
        return not singled_out or not names or bool(only & {*names, *datasets})


@dataclass(frozen=True)
class Plan:
    """What a run measures.

    Attributes:
        parts: The datasets that are filled shard by shard.
        wholes: Those measured in one go.
        left_out: What is left out, and why.
        uses_sae: Whether there is an SAE that any part of the study can use: then the model is in
            its coordinates, whichever parts are singled out.
    """

    parts: tuple[Part, ...]
    wholes: tuple[WholePart, ...]
    left_out: Mapping[str, str]
    uses_sae: bool = False

    @property
    def datasets(self) -> tuple[Part | WholePart, ...]:
        """Parts and wholes."""
        return (*self.parts, *self.wholes)

    @property
    def needs(self) -> frozenset[str]:
        """What all of it together cannot do without."""
        sae = ["sae"] if self.uses_sae else []
        return frozenset(sae).union(*(part.needs for part in self.datasets))


def _gone(part: Part | WholePart, kept: Part | WholePart | None) -> str:
    """What of a part is left out, in words; empty for nothing."""
    if kept is None:
        return part.name
    before, after = getattr(part, "kinds", ()), getattr(kept, "kinds", ())
    missing = [kind for kind in before if kind not in after]
    if isinstance(part, FunctionPart | WholePart) and part.needs != kept.needs:
        missing = [part.sae_adds]
    return f"{part.name} ({', '.join(missing)})" if missing else ""
