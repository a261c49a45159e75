"""Names of directions that are fixed: made once, and shared by all bases.

``pca``, ``pca:2`` (the second one), ``pca:1-3`` (three of them), ``contrastive:formality``,
``file:steer.npz#name``, each with settings behind it (``melbo:2:angle=20``), and with ``_against``
at its end for the opposite sign. Such a name stands wherever a kind of direction does, and wherever
a kind of target does: a target then lies on the direction, as far away as the base's real target.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from steppe.core.errors import InputError
from steppe.core.names import check_names

AGAINST = "_against"
# What begins a need of one fixed direction: what follows is its name.
NEED = "fixed:"
Takes = Literal["number", "source"]
Setting = float | int | bool | None
_NUMBERS = re.compile(r"(\d+)(?:-(\d+))?")
_SETTING = re.compile(r"([a-z_]+)=(.+)")


@dataclass(frozen=True)
class FixedKind:
    """One way to make fixed directions.

    Attributes:
        name: How it is asked for.
        description: What its directions are, in one line.
        takes: What follows its name: the ``number`` of a direction, from 1, or a ``source``.
        needs: What they cannot be made without: ``pool``, ``sae``.
        settings: What may be set, with the default of each.
    """

    name: str
    description: str
    takes: Takes = "number"
    needs: tuple[str, ...] = ()
    settings: Mapping[str, Setting] = field(default_factory=dict)


_CLIMB: dict[str, Setting] = {
    "angle": 10.0,
    "length": None,
    "restarts": 3,
    "steps": 100,
    "orthogonal": True,
    "anchors": 8,
}
FIXED_KINDS: Mapping[str, FixedKind] = {
    kind.name: kind
    for kind in (
        FixedKind("file", "a vector from a file: file:steer.safetensors#name", "source", (),
               {"layer": None}),
        FixedKind("given", "a vector given in the call: given:name", "source"),
        FixedKind("contrastive", "mean difference between the two sides of pairs of prompts: "
               "contrastive:formality, contrastive:pairs.yaml#name", "source"),
        FixedKind("probe", "the normal of a logistic regression between the sides of pairs of "
               "prompts", "source"),
        FixedKind("pca", "a principal component of real activations: pca:3", needs=("pool",)),
        FixedKind("random", "drawn evenly from the sphere, once for all bases"),
        FixedKind("random_difference", "between two real activations, the same two for all bases",
               needs=("pool",)),
        FixedKind("sae_top", "decoder row of the latent with the n-th largest mean activation",
               needs=("pool", "sae")),
        FixedKind("melbo", "moves a later residual most, at a given angle or length",
               settings=_CLIMB),
        FixedKind("jacobian_top", "right singular vector of the map to a later residual",
               settings={"anchors": 8}),
    )
}  # fmt: skip


@dataclass(frozen=True)
class FixedDirection:
    """The name of one fixed direction, or of several, taken apart.

    Attributes:
        kind: How it is made.
        source: What follows its name: a file, a set of pairs; empty where numbers do.
        name: Which one of the source; empty for the only one, or all.
        numbers: Which numbers, from 1; the first and the last.
        settings: Every setting of its kind, as asked or by default.
        asked_settings: Those that were asked for, as they were written.
        is_against: Whether the opposite direction is meant.
        text: What was asked, without ``_against``.
    """

    kind: FixedKind
    source: str
    name: str
    numbers: tuple[int, int]
    settings: Mapping[str, Any]
    asked_settings: tuple[str, ...]
    is_against: bool
    text: str

    @property
    def label(self) -> str:
        """What was asked."""
        return self.text + AGAINST * self.is_against

    @property
    def needs(self) -> tuple[str, ...]:
        """What it cannot be made without: itself among it, so that a study makes it once."""
        return (f"{NEED}{self.text}", *self.kind.needs)

    def numbered(self, number: int) -> FixedDirection:
        """One of the numbers, as a name of its own."""
        return replace(self, numbers=(number, number), text=self._text(str(number)))

    def named(self, name: str) -> FixedDirection:
        """One of the source's, as a name of its own."""
        return replace(self, name=name, text=self._text(f"{self.source}#{name}"))

    def _text(self, which: str) -> str:
        return ":".join([self.kind.name, which, *self.asked_settings])


def fixed_direction(text: str) -> FixedDirection | None:
    """Take the name of a fixed direction apart; None where it is another name.

    Raises:
        InputError: It begins as one, and is none.
    """
    asked = text.removesuffix(AGAINST)
    head, _, rest = asked.partition(":")
    kind = FIXED_KINDS.get(head)
    if kind is None:
        return None
    parts = rest.split(":") if rest else []
    settings = dict(kind.settings)
    asked_settings: list[str] = []
    while parts and (found := _SETTING.fullmatch(parts[-1])):
        check_names(f"settings of the direction {text!r}", [found[1]], list(kind.settings))
        settings[found[1]] = _value(found[2], kind.settings[found[1]], text)
        asked_settings.insert(0, parts.pop())
    source, name, numbers = ":".join(parts), "", (1, 1)
    if kind.takes == "source":
        source, _, name = source.partition("#")
        if not source:
            raise _malformed(text, kind)
    elif source:
        numbers, source = _range(source, text, kind), ""
    return FixedDirection(
        kind=kind,
        source=source,
        name=name,
        numbers=numbers,
        settings=settings,
        asked_settings=tuple(asked_settings),
        is_against=text.endswith(AGAINST),
        text=asked,
    )


def _value(value: str, default: Setting, text: str) -> Setting:
    """A setting's value, of the same sort as its default."""
    words = {"yes": True, "true": True, "no": False, "false": False}
    if isinstance(default, bool):
        if value.lower() in words:
            return words[value.lower()]
        expected = "yes or no"
    else:
        try:
            number = float(value)
        except ValueError:
            number = math.nan
        whole = number.is_integer()
        if math.isfinite(number) and (whole or not isinstance(default, int)):
            return int(number) if whole else number
        expected = "a whole number" if isinstance(default, int) else "a number"
    raise InputError(
        f"direction {text!r}",
        got=repr(value),
        expected=expected,
        fix="write settings as in melbo:1:angle=20:orthogonal=no",
    )


def _range(source: str, text: str, kind: FixedKind) -> tuple[int, int]:
    found = _NUMBERS.fullmatch(source)
    first = int(found[1]) if found else 0
    last = int(found[2] or first) if found else 0
    if not 1 <= first <= last:
        raise _malformed(text, kind)
    return first, last


def _malformed(text: str, kind: FixedKind) -> InputError:
    if kind.takes == "number":
        return InputError(
            f"direction {text!r}",
            got=f"{text.partition(':')[2]!r} after {kind.name!r}",
            expected=f"a number from 1 on, or a range: {kind.name}:2, {kind.name}:1-3",
            fix=f"{kind.name} alone is the first",
        )
    return InputError(
        f"direction {text!r}",
        got="no source",
        expected=f"{kind.description}",
        fix=f"write {kind.name}:SOURCE, or {kind.name}:SOURCE#NAME for one of several",
    )
