"""Which SAEs can be asked for by a short name, and where on the hub do they lie?

The table is ``releases.csv``: one line a release (or a part of one with its own folder names).
"""

from __future__ import annotations

import csv
import difflib
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

from steppe.core.errors import InputError


@dataclass(frozen=True)
class Release:
    """A published set of SAEs.

    Attributes:
        name: Its short name, as SAELens uses it.
        repo_id: Its hub repository.
        folders: The repository's folder of every SAE, by SAE id.
        refused: Why steppe does not read it; empty when it does.
    """

    name: str
    repo_id: str
    folders: dict[str, str]
    refused: str


@cache
def releases() -> dict[str, Release]:
    """All releases of the table, by short name."""
    known: dict[str, Release] = {}
    text = files("steppe.sae").joinpath("releases.csv").read_text(encoding="utf-8")
    for row in csv.DictReader(text.splitlines()):
        release = known.setdefault(
            row["release"], Release(row["release"], row["repo_id"], {}, row["refused"])
        )
        for n in _numbers(row["numbers"]):
            release.folders[row["sae_id"].format(n=n)] = row["folder"].format(n=n)
    return known


def find_folder(release: Release, sae_id: str | None) -> str:
    """Return the repository folder of one SAE of a release.

    Args:
        release: The release.
        sae_id: Which of its SAEs, for instance ``blocks.1.hook_resid_pre``.

    Raises:
        InputError: steppe does not read the release, or it has no such SAE.
    """
    if release.refused:
        raise InputError(
            f"SAE release {release.name}",
            got=release.refused,
            expected="a release that steppe reads",
            fix="choose another release: steppe list",
        )
    if sae_id in release.folders:
        return release.folders[sae_id]
    known = list(release.folders)
    near = difflib.get_close_matches(sae_id or "", known, n=1)
    raise InputError(
        f"SAE release {release.name}",
        got=f"sae_id {sae_id!r}",
        expected=f"one of {', '.join(known)}",
        fix=f"load_sae({release.name!r}, sae_id={near[0] if near else known[0]!r})",
    )


def near_releases(name: str) -> list[str]:
    """Names of releases that look like ``name``."""
    return difflib.get_close_matches(name, releases(), n=3)


def _numbers(text: str) -> list[int]:
    """Read ``0-11`` or ``2 6 10``."""
    first, dash, last = text.partition("-")
    if dash:
        return list(range(int(first), int(last) + 1))
    return [int(number) for number in text.split()]
