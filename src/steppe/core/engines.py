"""In which ways can a model be run on from a site? One word and one line for each."""

from __future__ import annotations

from typing import Literal, cast

from steppe.core.names import find

Engine = Literal["auto", "fast", "general", "full"]

ENGINES: dict[str, str] = {
    "auto": "fast, or general where the self-check finds that fast is not exact for the model",
    "fast": "blocks after the site, with packed matrices and attention over a shared prefix",
    "general": "blocks after the site, with the model's own operations throughout",
    "full": "the whole model on the whole prompt for every point: slow, for any model",
}


def parse_engine(name: str) -> Engine:
    """Return the engine called ``name``.

    Raises:
        InputError: There is none.
    """
    find(name, ENGINES, "engine", "leave it out to take the best one")
    return cast("Engine", name)
