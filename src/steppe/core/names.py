"""Find an entry of a catalogue by its name, or say which names there are and which is nearest."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
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
    near = difflib.get_close_matches(name, catalogue, n=1)
    raise InputError(
        place,
        got=repr(name),
        expected=", ".join(catalogue),
        fix=f"did you mean {near[0]!r}?" if near else otherwise,
    )


def check_names(place: str, names: Sequence[str], known: Sequence[str]) -> None:
    """Refuse names that are not among the known ones.

    Raises:
        InputError: A name is unknown; the nearest known one is suggested.
    """
    unknown = [name for name in names if name not in known]
    if not unknown:
        return
    near = difflib.get_close_matches(unknown[0], known, n=1)
    raise InputError(
        place,
        got=", ".join(map(repr, unknown)),
        expected=", ".join(known),
        fix=f"did you mean {near[0]!r}?" if near else "use the names above",
    )
