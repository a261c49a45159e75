"""Which files belong to a run as a whole, and are they as they were written?

``done/files.json`` vouches for them. It also tells which run this is, so that a configuration that
was lost or damaged is known again when its command is given.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from steppe.core.errors import InputError
from steppe.store import config as configuration
from steppe.store import layout
from steppe.store.facts import damage, facts_of, read_sealed, write_sealed
from steppe.store.writing import write_atomically

_RUN = "run"


def known_files(root: Path) -> dict[str, Any]:
    """Size and sha256 of the files that belong to the run as a whole, by name."""
    files: dict[str, Any] = _read(root)["files"]
    return files


def is_sound(root: Path, name: str) -> bool:
    """Whether a file that belongs to the run as a whole is there, as it was written."""
    facts = known_files(root)
    return name in facts and not damage(root, {name: facts[name]}, "checksum")


def remember(root: Path, names: Iterable[str], **more: Any) -> None:
    """Vouch for files as they are now.

    Raises:
        RunFailedError: The disk is full, or cannot be written.
    """
    known = _read(root)
    files = {**known["files"], **facts_of([root / name for name in names], root)}
    write_sealed(root / layout.DONE / layout.FILES, {**known, **more, "files": files})


def write_config(root: Path, config: Mapping[str, Any]) -> None:
    """Write ``config.yaml``, and remember which run it is.

    Raises:
        RunFailedError: The disk is full, or cannot be written.
    """
    write_atomically(root / layout.CONFIG, configuration.to_yaml(config))
    remember(root, [layout.CONFIG], **{_RUN: _run(config)})


def is_config_damaged(root: Path) -> bool:
    """Whether ``config.yaml`` is not what was written; also after an extension was cut short."""
    return layout.CONFIG in known_files(root) and not is_sound(root, layout.CONFIG)


def restore_config(root: Path, config: Mapping[str, Any]) -> None:
    """Write a damaged ``config.yaml`` again, when ``config`` is this run's.

    Raises:
        InputError: It is damaged, and ``config`` is another one.
        RunFailedError: The disk is full, or cannot be written.
    """
    known, wanted = _read(root).get(_RUN) or {}, _run(config)
    same = known.get("identity") == wanted["identity"]
    if same and (wanted["samples"] or 0) >= (known["samples"] or 0):
        write_config(root, config)
        return
    raise InputError(
        f"config {root / layout.CONFIG}",
        got="missing, or not as it was written; and this is not the command that it was written by",
        expected="the command that the run was started with, which writes it again",
        fix="give that command (`steppe show RUN --provenance` prints it), or choose another "
        "folder with --out",
    )


def _run(config: Mapping[str, Any]) -> dict[str, Any]:
    samples = config["resolved"].get(configuration.SAMPLES)
    return {"identity": configuration.identity(config), "samples": configuration.plain(samples)}


def _read(root: Path) -> dict[str, Any]:
    found = read_sealed(root / layout.DONE / layout.FILES) or {}
    found.pop("seal", None)
    # A newer steppe may have written something else there.
    return found if isinstance(found.get("files"), dict) else {"files": {}}
