"""`steppe check-run`: verify every stored file of a run."""

from __future__ import annotations

import json
import sys
from typing import Annotated

import typer

from steppe.cli import options
from steppe.cli.telling import say
from steppe.core.lazy import load

DAMAGED = 1


def check_run(
    run: options.RunPath,
    read_only: Annotated[
        bool, typer.Option("--read-only", help="Only look; leave the manifests of damaged shards.")
    ] = False,
    as_json: options.Json = False,
) -> None:
    """Verify every stored file of a run by its checksum, and name what is damaged.

    Shards that are damaged no longer count as finished: the run's own command computes exactly
    these again. The exit status is 1 when anything is damaged.
    """
    found = load("steppe.store.verify:verify")(run, withdraw=not read_only)
    say(json.dumps(found.as_dict(), indent=2) if as_json else found)
    if found.damage:
        sys.exit(DAMAGED)
