"""What a run of a study measures, and what it leaves out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from steppe.core.errors import InputError
from steppe.directions.resolve import fixed_among
from steppe.settings.study_settings import SiteSettings
from steppe.study.curve_part import CurvePart
from steppe.study.given import Given
from steppe.study.needs import Need, as_need
from steppe.study.next_tokens import NextTokens
from steppe.study.part import FunctionPart, Part, WholePart
from steppe.study.study import Study


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


def plan_of(study: Study, settings: SiteSettings, given: Given | None = None) -> Plan:
    """What a run measures and what it leaves out; reads no weights.

    Raises:
        InputError: Nothing is left to measure, or a fixed direction has no source.
    """
    objects = given or Given()
    has_sae = objects.sae is not None or settings.has_sae
    every: list[Part | WholePart] = [*study.parts(settings), *study.wholes(settings)]
    said = int(getattr(settings, "next_tokens", 0))
    kept: list[Part | WholePart] = []
    left_out = {}
    for part in _singled_out(study, settings, every):
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
            f"study {study.name} on {settings.model}",
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
    study: Study, settings: SiteSettings, parts: Sequence[Part | WholePart]
) -> list[Part | WholePart]:
    """The parts, or what is needed of them for what the setting ``only`` names."""
    only: Sequence[str] = getattr(settings, "only", ())
    asked = [need for one in study.outputs if one.name in only for need in one.needs]
    needs = [*map(as_need, asked), *map(Need, {*only} & {part.name for part in parts})]
    # Words of the study's own it sees to itself; a derived quantity may be made from any part.
    own = not needs and not {*only} & {one.name for one in study.outputs}
    if own or any(need.dataset in study.derived for need in needs):
        return [*parts]
    found = [(part, [n for n in needs if n.dataset == part.name]) for part in parts]
    return [part.only(of_it) for part, of_it in found if of_it]


def _gone(part: Part | WholePart, kept: Part | WholePart | None) -> str:
    """What of a part is left out, in words; empty for nothing."""
    if kept is None:
        return part.name
    before, after = getattr(part, "kinds", ()), getattr(kept, "kinds", ())
    missing = [kind for kind in before if kind not in after]
    if isinstance(part, FunctionPart | WholePart) and part.needs != kept.needs:
        missing = [part.sae_adds]
    return f"{part.name} ({', '.join(missing)})" if missing else ""
