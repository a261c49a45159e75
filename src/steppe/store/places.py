"""Whether a place can be, or is, a run's folder."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from steppe.core.errors import InputError
from steppe.store import layout
from steppe.store.config import check_same, read_config
from steppe.store.manifest import is_sound, read_manifest


def check_available(root: Path, settings: Mapping[str, Any]) -> None:
    """Refuse a folder early, before anything that takes long is done for it.

    Args:
        root: The run folder; it may be missing.
        settings: Some of the ``resolved`` settings; those that are None were left open.

    Raises:
        InputError: It is a file, holds something else or a run of other settings, or cannot be
            written.
    """
    check_writable(root)
    if is_run(root) and (is_sound(root, layout.CONFIG) or read_manifest(root, layout.RUN) is None):
        known = read_config(root)["resolved"]
        stated = {key: value for key, value in settings.items() if value is not None}
        check_same(root, {key: known.get(key) for key in stated}, stated)


def is_run(root: Path) -> bool:
    """Whether ``root`` is a run folder; False when it is missing or empty.

    Raises:
        InputError: It is something else.
    """
    if (root / layout.CONFIG).is_file() or read_manifest(root, layout.RUN) is not None:
        return True
    if not root.exists():
        return False
    # A start that was cut short leaves nothing but its lock.
    kept = (
        sorted({path.name for path in root.iterdir()} - {layout.WORKING}) if root.is_dir() else []
    )
    if root.is_dir() and not kept:
        return False
    raise InputError(
        f"run folder {root}",
        got=f"a folder with other files ({', '.join(kept[:3])})" if kept else "a file",
        expected="a new or empty folder, or a run of steppe",
        fix="choose another folder with --out",
    )


def check_writable(root: Path) -> None:
    """Check that ``root`` can be written, or created where it is missing (InputError)."""
    try:
        existing = next(place for place in (root, *root.absolute().parents) if place.exists())
        if existing == root and not root.is_dir():
            return  # what is there instead is told in words of its own
        fault = "read-only" if existing.is_dir() else "a file"
        fine = existing.is_dir() and os.access(existing, os.W_OK | os.X_OK)
        if fine and existing != root:
            # Some places that may be written hold no folders, for instance /proc.
            Path(tempfile.mkdtemp(prefix=".steppe-", dir=existing)).rmdir()
    except OSError as error:
        existing, fault, fine = root, f"out of reach: {error.strerror}", False
    if not fine:
        raise InputError(
            f"run folder {root}",
            got=f"{existing} is {fault}",
            expected="a folder that can be written, or a place where one can be created",
            fix="change its permissions, or choose another folder with --out",
        )


def make_folder(root: Path) -> None:
    """Create a run folder where there is none (InputError where that cannot be)."""
    try:
        root.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(
            f"run folder {root}",
            got=error.strerror or str(error),
            expected="a place where a folder can be created",
            fix="choose another folder with --out",
        ) from error
