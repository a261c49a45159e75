"""Is a cached file made of what it is now asked for? A note beside it says what it was made of."""

from __future__ import annotations

import hashlib
import json
import os
import sys
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

Origin = Mapping[str, str | int]


def made_once(path: Path, origin: Origin, make: Callable[[Path], None]) -> None:
    """Makes the file at `path` where there is none, and refuses one that was made of other things.

    Args:
        path: the cached file.
        origin: what it is to be made of, as plain values.
        make: writes it to the path it is given, which has the same ending.

    Raises:
        ValueError: the file is there, and its note tells of another origin.
    """
    note = path.with_name(path.name + ".made_of.json")
    if not path.exists():
        temporary = path.with_name(f"{path.stem}-temporary{path.suffix}")
        make(temporary)
        # The note first: a kill in between leaves a note without a file, which is made anew.
        _write(note, dict(origin))
        os.replace(temporary, path)
    elif not note.exists():
        # From before there were notes; what it was made of can no longer be told.
        print(f"{path} has no note of what it was made of; taken as it is", file=sys.stderr)
        _write(note, {**origin, "assumed": True})
    else:
        _compare(path, json.loads(note.read_text(encoding="utf-8")), origin)


def digest(pieces: Iterable[str | bytes]) -> str:
    """Returns the SHA-256 of pieces and of where each ends, in hexadecimal."""
    total = hashlib.sha256()
    for piece in pieces:
        content = piece.encode() if isinstance(piece, str) else piece
        total.update(hashlib.sha256(content).digest())
    return total.hexdigest()


def _write(note: Path, content: Mapping[str, object]) -> None:
    note.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")


def _compare(path: Path, noted: Mapping[str, object], origin: Origin) -> None:
    differing = [name for name, value in origin.items() if noted.get(name) != value]
    if differing:
        told = "; ".join(f"{name}: {noted.get(name)} -> {origin[name]}" for name in differing)
        raise ValueError(
            f"{path} was made of something else ({told}); give what it was made of, another "
            "folder with --out, or delete the file to make it anew"
        )
