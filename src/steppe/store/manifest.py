"""Manifests list files with their sizes and checksums, and say that these are finished.

A manifest is written after its files. It carries its name, its run's identity and a checksum of its
own, so that one that is damaged, was moved, or belongs to another run does not count.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from steppe.store.layout import DONE, REPORT, RUN, WORKING, manifest_path
from steppe.store.writing import write_files

# By path in the run folder: size in bytes and sha256.
Files = Mapping[str, tuple[int, str]]
_CHECKSUM = b',\n "checksum": "'
# These say that a file is damaged; other failures (memory, too many open files) are not the file's.
_DAMAGE = {errno.ENOENT, errno.ENOTDIR, errno.EISDIR, errno.EIO, errno.ELOOP, errno.EBADMSG}


@dataclass(frozen=True)
class Manifest:
    """What is known of some files that belong together.

    Attributes:
        name: Its path below ``done/``, for instance ``curves/000003``.
        run: The identity of the run.
        files: Size and sha256 of each file, by path in the run folder.
        facts: What else is known.
    """

    name: str
    run: str
    files: Files = field(default_factory=dict)
    facts: Mapping[str, Any] = field(default_factory=dict)

    def write(self, root: Path) -> None:
        """Write it into a run folder (RunFailedError where that fails)."""
        body = json.dumps(asdict(self), indent=1)[:-2].encode()
        content = body + _CHECKSUM + f'{_sha256(body)}"\n}}'.encode()
        write_files({manifest_path(root, self.name): content}, root / WORKING)


def read_manifest(root: Path, name: str, run: str | None = None) -> Manifest | None:
    """Read a manifest; None when it is missing, not as it was written, or of another run.

    Raises:
        OSError: The machine could not read it, which says nothing about the file.
    """
    try:
        content = manifest_path(root, name).read_bytes()
    except OSError as error:
        raise_unless_damage(error)
        return None
    body, _, checksum = content.rpartition(_CHECKSUM)
    if checksum != f'{_sha256(body)}"\n}}'.encode():
        return None
    found = json.loads(content)
    known = Manifest(found["name"], found["run"], found["files"], found["facts"])
    return known if known.name == name and run in {None, known.run} else None


def manifests(root: Path) -> list[str]:
    """The names of the manifests of a run folder, sound or not."""
    folder = root / DONE
    return sorted(p.relative_to(folder).as_posix()[: -len(".json")] for p in folder.rglob("*.json"))


def checksums(contents: Mapping[str, bytes]) -> dict[str, tuple[int, str]]:
    """Size and sha256 of the contents of files."""
    return {name: (len(content), _sha256(content)) for name, content in contents.items()}


def damage(root: Path, files: Files, *, sizes_only: bool = False) -> list[str]:
    """What is wrong with files that a manifest lists, in words; empty when nothing is.

    Raises:
        OSError: The machine could not read a file, which says nothing about the file.
    """
    faults = []
    for name, (size, sha256) in files.items():
        path = os.path.join(root, name)
        try:
            found = os.stat(path).st_size
            if found != size:
                faults.append(f"{name}: {found} bytes instead of {size}")
            elif not sizes_only and _sha256(Path(path).read_bytes()) != sha256:
                faults.append(f"{name}: other content than was written")
        except OSError as error:
            raise_unless_damage(error)
            faults.append(f"{name}: {error.strerror}")
    return faults


def is_sound(root: Path, name: str) -> bool:
    """Whether a file that belongs to the run as a whole is there, as it was written."""
    known = read_manifest(root, RUN)
    if known is None or name not in known.files:
        return False
    return not damage(root, {name: known.files[name]})


def write_for_run(root: Path, name: str, content: bytes, run: str = "", **facts: Any) -> None:
    """Write a file that belongs to the run as a whole, and list it in the run's manifest."""
    write_files({root / name: content}, root / WORKING)
    known = read_manifest(root, RUN) or Manifest(RUN, run)
    files = {**known.files, **checksums({name: content})}
    Manifest(RUN, run or known.run, files, {**known.facts, **facts}).write(root)


def note_of_run(root: Path, **facts: Any) -> None:
    """Add to what is known of the run as a whole."""
    known = read_manifest(root, RUN)
    if known is not None:
        replace(known, facts={**known.facts, **facts}).write(root)


def digest_of_results(root: Path) -> str:
    """One hash of everything that is finished: what a report is made from."""
    found = [read_manifest(root, name) for name in manifests(root) if name not in {RUN, REPORT}]
    listed = [(known.name, known.files) for known in found if known is not None]
    return _sha256(json.dumps(listed, sort_keys=True).encode())


def raise_unless_damage(error: OSError) -> None:
    """Let an error rise that does not say that a file is damaged."""
    if error.errno not in _DAMAGE:
        raise error


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
