"""How is a file known to be as it was written? Its size, which is cheap, and its checksum."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Literal

from steppe.store.writing import write_atomically

# By path: size in bytes and sha256.
Facts = Mapping[str, tuple[int, str]]
Thorough = Literal["size", "checksum"]
_SEAL = ',\n "seal": "'


def facts_of(paths: Iterable[Path], root: Path, *, flush: bool = False) -> dict[str, Any]:
    """Size and sha256 of files, by their path below ``root``.

    Args:
        paths: The files.
        root: What their paths are told from.
        flush: Wait until each is on the disk, so that a power loss after this cannot take it.
    """
    facts = {}
    for path in paths:
        with path.open("rb") as file:
            if flush:
                os.fsync(file.fileno())
            content = file.read()
        facts[path.relative_to(root).as_posix()] = (len(content), _sha256(content))
    return facts


def damage(root: Path, facts: Facts, thorough: Thorough) -> list[str]:
    """What is wrong with files that should be as ``facts`` say, in words; empty when nothing is.

    Args:
        root: What the paths are told from.
        facts: Size and sha256 by path.
        thorough: ``size`` looks at the sizes only; ``checksum`` reads every byte.
    """
    faults = []
    for name, (size, sha256) in facts.items():
        try:
            found = os.stat(os.path.join(root, name)).st_size
            if found != size:
                faults.append(f"{name}: {found} bytes instead of {size}")
            elif thorough == "checksum" and _sha256((root / name).read_bytes()) != sha256:
                faults.append(f"{name}: other content than was written")
        except OSError as error:
            faults.append(f"{name}: {error.strerror or error}")
    return faults


def write_sealed(path: Path, content: Mapping[str, Any]) -> None:
    """Write a JSON object with a checksum of its own as its last entry, ``seal``.

    Raises:
        RunFailedError: It could not be written.
    """
    body = json.dumps(content, indent=1)[:-2].encode()
    write_atomically(path, body + f'{_SEAL}{_sha256(body)}"\n}}'.encode())


def read_sealed(path: Path) -> dict[str, Any] | None:
    """Read what `write_sealed` wrote; None when it is missing, or not as it was written."""
    try:
        content = path.read_bytes()
        body, _, seal = content.rpartition(_SEAL.encode())
        if seal != f'{_sha256(body)}"\n}}'.encode():
            return None
        found: dict[str, Any] = json.loads(content)
    except (OSError, ValueError):
        return None
    return found


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
