"""Where a result came from: versions, commit, machine and command, as plain data.

Runs are shared, so that a record says nothing of whose machine it was: no host name, and paths from
the working folder (``.``) or the home folder (``~``) on. ``STEPPE_PROVENANCE=full`` keeps them.
"""

from __future__ import annotations

import os
import platform
import re
import socket
import subprocess
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

from steppe.core.command import command

PACKAGES = (
    "torch",
    "transformers",
    "safetensors",
    "numpy",
    "scipy",
    "xarray",
    "zarr",
    "pandas",
    "pydantic",
    "matplotlib",
)


FULL = "STEPPE_PROVENANCE"


def provenance(call: str) -> dict[str, object]:
    """Describe the code, the packages, the machine and the command of this process.

    Args:
        call: What was called, recorded where no command line was given: in a notebook or a script.
    """
    found: dict[str, object] = {
        "steppe": _version("steppe"),
        "commit": _commit(),
        "packages": {name: _version(name) for name in PACKAGES},
        "python": platform.python_version(),
        "platform": platform.platform(),
        "processor": platform.machine(),
        "command": command() or call,
        "started": datetime.now(UTC).isoformat(timespec="seconds"),
    }
    if os.environ.get(FULL) == "full":
        found |= {"host": socket.gethostname(), "folder": str(Path.cwd())}
    return found


def shareable(record: Any) -> Any:
    """A record without the places that it names, unless they are asked for.

    Args:
        record: Plain data; texts in it may hold paths.
    """
    if os.environ.get(FULL) == "full":
        return record
    if isinstance(record, dict):
        return {key: shareable(value) for key, value in record.items()}
    if isinstance(record, list | tuple):
        return [shareable(value) for value in record]
    return _without_places(record) if isinstance(record, str) else record


def _without_places(text: str) -> str:
    places = {str(Path.home()): "~", str(Path.cwd()): "."}
    for place in sorted(places, key=len, reverse=True):
        if place != "/":
            text = re.sub(rf"(?<![\w.-]){re.escape(place)}(?![\w.-])", places[place], text)
    return text


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def _commit() -> dict[str, object] | None:
    """The commit of steppe's own checkout, or None when it runs from an installed package."""
    root = Path(__file__).resolve().parents[3]
    if not (root / ".git").exists():
        return None
    try:
        commit = _git(root, "rev-parse", "HEAD")
        dirty = bool(_git(root, "status", "--porcelain", "--untracked-files=no"))
    except (OSError, subprocess.CalledProcessError):
        return None
    return {"id": commit, "dirty": dirty}


def _git(root: Path, *arguments: str) -> str:
    command = ["git", "-C", str(root), *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()
