"""One and the same text for a local path, however it was typed."""

from __future__ import annotations

from pathlib import Path

from steppe.core.bundled import DEMO
from steppe.core.errors import InputError
from steppe.core.fetched import MODELS


def one_spelling(place: str | None) -> str | None:
    """A local path as one and the same text however it was typed, so that a run can be resumed.

    Args:
        place: A name, a path, or None.

    Raises:
        InputError: No name, and no path that can be.
    """
    if place is None or place in (DEMO, *MODELS):
        return place
    try:
        path = Path(place).expanduser()
        return str(path.resolve()) if path.exists() else place
    except (OSError, RuntimeError, ValueError) as error:
        # Too long for a path, the home of nobody, or no text that a path can be.
        raise InputError(
            "path",
            got=place,
            expected="a name, or a path that can be",
            fix=f"{getattr(error, 'strerror', None) or error}",
        ) from error
