"""Locks of a run folder: one for each part of the work, one for what belongs to the whole run.

The operating system holds a lock (`filelock`) and ends it with its process, however that ends. A
JSON file beside each lock says who holds it. On a file system that keeps no locks between machines,
two machines may do the same work by mistake: shards are deterministic and renamed into place, so
that this costs time and damages nothing.
"""

from __future__ import annotations

import errno
import json
import os
import re
import socket
import time
import uuid
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path

from filelock import BaseFileLock, FileLock, SoftFileLock, Timeout

from steppe.core.errors import InputError, RunFailedError
from steppe.core.parts import Part
from steppe.core.progress import tell
from steppe.store.layout import WORKING
from steppe.store.writing import write_atomically, writing

# A report may take many minutes; who waits for longer than this is told so, and ends.
WAIT_SECONDS = 1800.0
_TELL_SECONDS = 2.0
_POLL_SECONDS = 0.05
# Who asks whether a lock is held has it for a moment.
_PROBE_SECONDS = 0.2
_PART = re.compile(r"part-(\d+)-of-(\d+)\.lock")
# How file systems answer that have no locks; an existing file stands for a lock there.
_NO_LOCKS = {errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOLCK}


@dataclass(frozen=True)
class Holder:
    """The process that holds a lock.

    Attributes:
        part: Which part of the shards it computes; None for the lock of the whole run.
        workers: How many processes compute for it, itself or others.
        host: Its machine; empty where it has not said so.
        pid: Its process id.
        since: When it took the lock, in seconds since 1970.
        id: Tells it from every other holder.
    """

    part: Part | None = None
    workers: int = 1
    host: str = field(default_factory=socket.gethostname)
    pid: int = field(default_factory=os.getpid)
    since: float = field(default_factory=lambda: round(time.time(), 3))
    id: str = field(default_factory=lambda: uuid.uuid4().hex)

    def __str__(self) -> str:
        on = "" if self.part is None else f", on {self.part}"
        if not self.host:
            return f"a process that has just begun{on}"
        since = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(self.since))
        return f"process {self.pid} on {self.host}, since {since}{on}"


@dataclass(frozen=True)
class Lock:
    """A lock that this process holds, and what others are told of it."""

    path: Path
    holder: Holder
    _lock: BaseFileLock

    def release(self) -> None:
        """Give it back."""
        # A folder that was removed meanwhile, or that can no longer be written, is no concern.
        with suppress(OSError):
            self.path.with_suffix(".json").unlink(missing_ok=True)
        self._lock.release()


def acquire(root: Path, part: Part, workers: int = 1) -> Lock:
    """Take the lock of a part of the work; to be called inside `whole`.

    Raises:
        InputError: Another process is at work on shards of that part.
        RunFailedError: The folder cannot be written.
    """
    refuse_if_busy(root, part)
    path = root / WORKING / f"part-{part.index}-of-{part.count}.lock"
    lock = _try(path, _PROBE_SECONDS)
    if lock is None:
        raise _busy(root, _holder(path, part))
    return _told(path, lock, Holder(part, workers))


def refuse_if_busy(root: Path, part: Part) -> None:
    """Refuse when a living process is at work on shards of ``part`` (InputError)."""
    for path, other in _parts(root):
        if other.overlaps(part) and _is_held(path, _PROBE_SECONDS):
            raise _busy(root, _holder(path, other))


def at_work(root: Path) -> list[Holder]:
    """The processes that are at work in a run folder."""
    return [_holder(path, part) for path, part in _parts(root) if _is_held(path, 0.0)]


@contextmanager
def whole(root: Path, wait: float = WAIT_SECONDS) -> Iterator[None]:
    """Hold the lock for what belongs to the whole run; wait for it, and tell for whom.

    Raises:
        RunFailedError: Another process held it for ``wait`` seconds, or it cannot be written.
    """
    path = root / WORKING / "run.lock"
    lock = _try(path, min(wait, _TELL_SECONDS))
    if lock is None and wait > _TELL_SECONDS:
        tell(
            f"waiting for {_holder(path)}, at most {wait / 60:.0f} min: it starts or reports a run"
        )
        lock = _try(path, wait - _TELL_SECONDS)
    if lock is None:
        raise RunFailedError(
            f"run folder {root}",
            got=f"locked for more than {wait:.0f} s by {_holder(path)}",
            expected="a process that starts or reports a run, and then lets others go on",
            fix="see what that process does, then give the same command again: finished shards "
            f"are kept. Where it is gone and its file system keeps the lock, remove {path}",
        )
    held = _told(path, lock, Holder())
    try:
        yield
    finally:
        held.release()


def _try(path: Path, timeout: float) -> BaseFileLock | None:
    """Take a lock; None when another process holds it for ``timeout`` seconds."""
    with writing(path), warnings.catch_warnings():
        # Of a file system without locks, which is provided for.
        warnings.simplefilter("ignore")
        path.parent.mkdir(parents=True, exist_ok=True)
        for kind in (FileLock, SoftFileLock):
            lock = kind(path, thread_local=False)
            try:
                lock.acquire(timeout=timeout, poll_interval=_POLL_SECONDS)
            except Timeout:
                return None
            except OSError as error:
                if error.errno not in _NO_LOCKS or kind is SoftFileLock:
                    raise
            else:
                return lock
    return None


def _told(path: Path, lock: BaseFileLock, holder: Holder) -> Lock:
    """Say beside a lock who holds it."""
    held = Lock(path, holder, lock)
    try:
        write_atomically(path.with_suffix(".json"), json.dumps(asdict(holder)).encode())
    except BaseException:
        held.release()
        raise
    return held


def _is_held(path: Path, timeout: float) -> bool:
    try:
        lock = _try(path, timeout)
    except RunFailedError:
        # In a folder that cannot be written no lock can be tried: who said so last counts.
        return path.with_suffix(".json").exists()
    if lock is not None:
        lock.release()
    return lock is None


def _parts(root: Path) -> list[tuple[Path, Part]]:
    """The lock of each part that was ever worked on."""
    paths = [(path, _PART.fullmatch(path.name)) for path in sorted((root / WORKING).glob("*.lock"))]
    return [(path, Part(int(found[1]), int(found[2]))) for path, found in paths if found]


def _holder(path: Path, part: Part | None = None) -> Holder:
    """Who says that it holds a lock."""
    try:
        content = json.loads(path.with_suffix(".json").read_bytes())
        return Holder(**{**content, "part": part})
    except (FileNotFoundError, ValueError, TypeError):
        return Holder(part, host="")


def _busy(root: Path, holder: Holder) -> InputError:
    return InputError(
        f"run folder {root}",
        got=f"another run is at work in it: {holder}",
        expected="one run per folder, or processes with different parts (--shard)",
        fix="wait for it (`steppe status` shows how far it is), or choose another folder with "
        "--out",
    )
