"""Every setting of a study in words: meaning, form, limits, default, unit and origin."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin

from pydantic.fields import FieldInfo

from steppe.settings.catalogue import find_study
from steppe.settings.study_settings import StudySettings

# What stands in a description before the words for a default that is no value.
_ABSENT = ("None: ", "empty: ")
_LIMITS = {"ge": "at least", "gt": "above", "le": "at most", "lt": "below"}
_FORMS: dict[object, str] = {int: "INTEGER", float: "NUMBER", bool: "yes|no", str: "TEXT"}


@dataclass(frozen=True)
class Setting:
    """One setting of a study.

    Attributes:
        name: Its key in a YAML file; the option has hyphens in place of the underscores.
        meaning: What it decides.
        forms: What a value can be: INTEGER, NUMBER, TEXT, or one of the names it takes.
        limits: The range of a number, in words.
        many: Whether it takes several values.
        default: What it is when it is not given, in words.
        unit: The unit of a number; empty: none, or as the meaning says.
        origin: Where the default came from; empty: nowhere but from steppe.
        own: Whether this study adds or changes it; the others belong to every study.
    """

    name: str
    meaning: str
    forms: tuple[str, ...]
    limits: str
    many: bool
    default: str
    unit: str
    origin: str
    own: bool

    @property
    def option(self) -> str:
        """Its name on the command line."""
        return f"--{self.name.replace('_', '-')}"

    @property
    def is_switch(self) -> bool:
        """Whether it is on or off."""
        return self.forms == (_FORMS[bool],)


def settings_class(study: str) -> type[StudySettings]:
    """The class that checks a study's settings.

    Raises:
        InputError: There is no such study; the nearest name is suggested.
    """
    return find_study(study).settings_class()


def explain(study: str) -> tuple[Setting, ...]:
    """Every setting of a study but its name, in the order of its class.

    Raises:
        InputError: There is no such study; the nearest name is suggested.
    """
    model = settings_class(study)
    own = model.__annotations__
    return tuple(
        _setting(name, field, name in own)
        for name, field in model.model_fields.items()
        if name != "study"
    )


def _setting(name: str, field: FieldInfo, own: bool) -> Setting:
    extra = field.json_schema_extra
    facts: dict[str, Any] = extra if isinstance(extra, dict) else {}
    meaning, default = field.description or "", _shown(field.get_default(call_default_factory=True))
    for mark in _ABSENT:
        if not default and mark in meaning:
            meaning, _, default = meaning.partition(mark)
    return Setting(
        name=name,
        meaning=meaning.rstrip("; "),
        forms=tuple(facts.get("choices", ())) or tuple(_forms(field.annotation)),
        limits=", ".join(
            f"{words} {getattr(limit, key)}"
            for limit in field.metadata
            for key, words in _LIMITS.items()
            if getattr(limit, key, None) is not None
        ),
        many=any(get_origin(part) is tuple for part in _alternatives(field.annotation)),
        default=default,
        unit=str(facts.get("unit", "")),
        origin=str(facts.get("origin", "")),
        own=own,
    )


def _shown(default: object) -> str:
    if default is None:
        return ""
    if isinstance(default, tuple):
        return ", ".join(map(str, default))
    return ("yes" if default else "no") if isinstance(default, bool) else str(default)


def _alternatives(annotation: object) -> tuple[object, ...]:
    return get_args(annotation) if get_origin(annotation) in {Union, UnionType} else (annotation,)


def _forms(annotation: object) -> Iterator[str]:
    for part in _alternatives(annotation):
        if get_origin(part) is Literal:
            yield from map(str, get_args(part))
        elif get_origin(part) is tuple:
            yield from _forms(get_args(part)[0])
        elif part is not NoneType:
            yield _FORMS.get(part, "TEXT")
