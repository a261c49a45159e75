"""`steppe status`: how far a run is, who is at work on it, and how long it will take."""

from __future__ import annotations

import json

from steppe.cli import options
from steppe.cli.telling import say
from steppe.core.lazy import load


def status(run: options.RunPath, as_json: options.Json = False) -> None:
    """Say what of a run is done, what is running, what is left, and how fast it goes."""
    found = load("steppe.store.status:status_of")(run)
    say(json.dumps(found.as_dict(), indent=2) if as_json else found)
