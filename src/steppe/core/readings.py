"""The two readings of a paper: what its text says, and what its authors' code did."""

from __future__ import annotations

from typing import Literal, cast, get_args

from steppe.core.errors import InputError

Reading = Literal["code", "text"]


def check_reading(reading: str) -> Reading:
    """Return ``reading`` when it is one of the two.

    Raises:
        InputError: It is neither ``code`` nor ``text``.
    """
    if reading in get_args(Reading):
        return cast(Reading, reading)
    raise InputError(
        "reading",
        got=repr(reading),
        expected=" or ".join(map(repr, get_args(Reading))),
        fix="'code' for what the authors ran, 'text' for what the paper says",
    )
