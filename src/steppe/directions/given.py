"""Directions given in the call, under a name by which studies know them: ``given:name``."""

from __future__ import annotations

import torch

from steppe.activations.vectors import Vectors
from steppe.core.errors import InputError
from steppe.core.names import check_names
from steppe.directions.direction_set import DirectionSet

_GIVEN: dict[str, DirectionSet] = {}


def register(name: str, vectors: DirectionSet | Vectors) -> DirectionSet:
    """Give directions a name: ``given:name`` is a kind of direction in this process from now on.

    Args:
        name: The name; one that was given before is replaced.
        vectors: A vector ``(d_model,)``, several ``(direction, d_model)``, or a set with names
            (``given:name#one``).

    Raises:
        InputError: They are no directions, or the name cannot be one.
    """
    if not name.isidentifier():
        raise InputError(
            "directions given in the call",
            got=f"the name {name!r}",
            expected="letters, digits and underscores, not beginning with a digit",
            fix="it stands in given:NAME",
        )
    if isinstance(vectors, DirectionSet):
        found = vectors
    else:
        rows = torch.as_tensor(vectors)
        rows = rows[None] if rows.ndim == 1 else rows
        names = [name] if len(rows) == 1 else [str(number) for number in range(len(rows))]
        found = DirectionSet.of(names, rows, f"directions {name!r}")
    _GIVEN[name] = found
    return found


def find_given(name: str) -> DirectionSet:
    """The directions of that name.

    Raises:
        InputError: None was given.
    """
    if not _GIVEN:
        raise InputError(
            f"direction 'given:{name}'",
            got="no direction given in this process",
            expected="steppe.directions.register(name, vector) before",
            fix="register it, or name a file: file:steer.npz",
        )
    check_names("directions given in this process", [name], list(_GIVEN))
    return _GIVEN[name]
