"""Which code this is: steppe's own files, and the versions of all that is installed beside it."""

from __future__ import annotations

import hashlib
import sys
from functools import cache
from pathlib import Path

_ROOT = Path(__file__).resolve().parents[1]
# The bundled model is data, which whoever uses it hashes.
_NOT_CODE = ("models/bundled/demo/", "__pycache__")
_INSTALLED = (".dist-info", ".egg-info")


@cache
def code_sha256() -> str:
    """A hash that is another where Python, a package, or one line of steppe is another."""
    digest = hashlib.sha256(sys.version.encode())
    for path in sorted(path for path in _ROOT.rglob("*") if path.is_file()):
        name = path.relative_to(_ROOT).as_posix()
        if not any(part in name for part in _NOT_CODE):
            digest.update(f"\n{name}\n".encode())
            digest.update(path.read_bytes())
    digest.update("\n".join(sorted(_installed())).encode())
    return digest.hexdigest()


def _installed() -> set[str]:
    """Names and versions of all packages, as their folders have them: hundreds cost no time."""
    folders = (Path(place) for place in sys.path if Path(place).is_dir())
    return {
        path.name for folder in folders for path in folder.iterdir() if path.suffix in _INSTALLED
    }
