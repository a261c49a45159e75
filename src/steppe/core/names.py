"""Find an entry of a catalogue by its name, or say which names there are and which is nearest."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Mapping, Sequence
from typing import TypeVar

from steppe.core.errors import InputError

T = TypeVar("T")


def find(name: str, catalogue: Mapping[str, T], place: str, otherwise: str) -> T:
    """Return the entry called ``name``.

    Args:
        name: The name asked for.
        catalogue: Entries by name.
        place: What is looked up, for the error.
        otherwise: How to mend it when no name is near.

    Raises:
        InputError: There is no such entry; the nearest name is suggested.
    """
    if name in catalogue:
        return catalogue[name]
    raise InputError(
        place, got=repr(name), expected=", ".join(catalogue), fix=_mend(name, catalogue, otherwise)
    )


def check_names(place: str, names: Sequence[str], known: Sequence[str]) -> None:
    """Refuse names that are not among the known ones, all of them at once.

    Raises:
        InputError: Some are unknown; the nearest to the first of them is suggested.
    """
    unknown = [name for name in names if name not in known]
    if not unknown:
        return
    raise InputError(
        place,
        got=", ".join(map(repr, unknown)),
        expected=", ".join(known),
        fix=_mend(unknown[0], known, "use the names above"),
    )


def in_order(place: str, names: Sequence[str], known: Sequence[str]) -> tuple[str, ...]:
    """The names, each once, in the order of the known ones.

    Raises:
        InputError: Some are unknown, as `check_names` tells it.
    """
    check_names(place, names, known)
    return tuple(name for name in known if name in names)


def nearest(name: str, known: Collection[str]) -> str | None:
    """The known name that ``name`` most likely stands for, or None."""
    return next(iter(difflib.get_close_matches(name, known, n=1)), None)


def _mend(name: str, known: Collection[str], otherwise: str) -> str:
    near = nearest(name, known)
    return f"did you mean {near!r}?" if near else otherwise
