"""Files reach the disk whole or not at all, and an error says what to do when they cannot."""

from __future__ import annotations

import errno
import os
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from steppe.core.errors import RunFailedError
from steppe.store.layout import UNFINISHED

_FULL = {errno.ENOSPC, errno.EDQUOT}
# Some file systems cannot flush a folder, and say so.
_NO_FLUSH = {errno.EINVAL, errno.ENOTSUP, errno.EACCES, errno.EBADF}


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
    write_files({path: content}, path.parent)


def write_files(contents: Mapping[Path, bytes], scratch: Path) -> None:
    """Write each file in ``scratch``, rename it into place, and wait until all are on the disk.

    Raises:
        RunFailedError: One could not be written.
    """
    for path, content in contents.items():
        unfinished = scratch / f".{uuid.uuid4().hex}{UNFINISHED}"
        with writing(path):
            scratch.mkdir(parents=True, exist_ok=True)
            path.parent.mkdir(parents=True, exist_ok=True)
            try:
                with unfinished.open("wb") as file:
                    file.write(content)
                    file.flush()
                    os.fsync(file.fileno())
                unfinished.replace(path)
            finally:
                unfinished.unlink(missing_ok=True)
    for folder in {folder for path in contents for folder in (path.parent, path.parent.parent)}:
        with writing(folder):
            _flush(folder)


def _flush(folder: Path) -> None:
    number = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(number)
    except OSError as error:
        if error.errno not in _NO_FLUSH:
            raise
    finally:
        os.close(number)
