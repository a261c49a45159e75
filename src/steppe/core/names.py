"""Find an entry of a catalogue by its name, or say which names there are and which is nearest."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
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
