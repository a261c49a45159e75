"""How does a file reach the disk whole or not at all, and what is said when it cannot?"""

from __future__ import annotations

import errno
import os
import uuid
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from steppe.core.errors import RunFailedError
from steppe.store.layout import UNFINISHED

_FULL = {errno.ENOSPC, errno.EDQUOT}


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Turn a failure to write ``path`` into an error that says what to do.

    Raises:
        RunFailedError: The disk is full, or cannot be written.
    """
    try:
        yield
    except OSError as error:
        full = error.errno in _FULL
        mend = "free some space" if full else "see to its permissions and its disk"
        raise RunFailedError(
            f"writing {path}",
            got="the disk is full" if full else error.strerror or str(error),
            expected="room for the run's data" if full else "a folder that can be written",
            fix=f"{mend}, then give the same command again: finished shards are kept",
        ) from error


def write_atomically(path: Path, content: bytes) -> None:
    """Write a file so that a reader, or a crash, sees all of it or none.

    Raises:
        RunFailedError: It could not be written.
    """
    unfinished = unfinished_path(path)
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            with unfinished.open("wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            unfinished.replace(path)
            flush_folders([path])
        finally:
            unfinished.unlink(missing_ok=True)


def flush_folders(files: Iterable[Path]) -> None:
    """Wait until the names of files are on the disk: without it a power loss may take a new name.

    Raises:
        OSError: The disk does not answer.
    """
    folders = {file.parent for file in files}
    # A file's folder may be as new as the file is.
    for folder in folders | {folder.parent for folder in folders}:
        number = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(number)
        except OSError as error:
            # Some file systems cannot do it for folders, and say so.
            if error.errno not in {errno.EINVAL, errno.ENOTSUP, errno.EACCES, errno.EBADF}:
                raise
        finally:
            os.close(number)


def unfinished_path(path: Path) -> Path:
    """A new place beside ``path`` to prepare it: machines that share a folder may share numbers."""
    return path.with_name(f".{path.name}.{uuid.uuid4().hex[:12]}{UNFINISHED}")
