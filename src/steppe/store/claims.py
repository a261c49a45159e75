"""Who is at work in a run folder? One process, or several on parts that do not overlap.

A process that works leaves a small file in ``working/`` and touches it every few seconds. A file
whose process is gone (same machine), or that has not been touched for long (another machine), is
stale, and is taken over. `alone` is a short turn that processes take one after the other, for what
belongs to the run as a whole.
"""

from __future__ import annotations

import errno
import json
import os
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field
from functools import cache
from pathlib import Path

from steppe.core.errors import InputError, RunFailedError
from steppe.core.parts import Part
from steppe.store import processes
from steppe.store.layout import UNFINISHED, WORKING
from steppe.store.writing import unfinished_path, writing

HEARTBEAT_SECONDS = 5.0
# A process on another machine that has been silent for this long is taken to be gone.
SILENCE_SECONDS = 120.0
_TURN = "turn.json"
# How file systems without hard links answer.
_NO_LINKS = {errno.EPERM, errno.ENOTSUP, errno.ENOSYS}
_POLL_SECONDS = 0.1


@dataclass(frozen=True)
class Claim:
    """One process at work in a run folder.

    Attributes:
        part: Which part of the shards it computes.
        host: Its machine.
        boot: Which start of that machine.
        pid: Its process id.
        born: When that process started, as the machine counts.
        since: When it began to work, in seconds since 1970.
        numbering: Among whose process ids its own counts.
        workers: How many processes it has at work, itself or others.
        token: Tells it from every other claim.
    """

    part: Part
    host: str
    boot: str
    pid: int
    born: str
    since: float
    numbering: str = ""
    workers: int = 1
    token: str = field(default_factory=lambda: uuid.uuid4().hex)

    @classmethod
    def of_this_process(cls, part: Part, workers: int = 1) -> Claim:
        """A claim of the calling process."""
        pid = os.getpid()
        return cls(
            part=part,
            host=processes.host(),
            boot=processes.boot(),
            pid=pid,
            born=processes.born(pid),
            since=round(time.time(), 3),
            numbering=processes.numbering(),
            workers=workers,
        )

    @property
    def is_of_here(self) -> bool:
        """Whether its process ran where this one can look for it."""
        if self.host != processes.host():
            return False
        return self.boot != processes.boot() or self.numbering == processes.numbering()

    @property
    def is_gone(self) -> bool:
        """Whether it is known that the process has ended: it ran on this machine."""
        ended = self.boot != processes.boot() or processes.born(self.pid) != self.born
        return self.is_of_here and ended

    def __str__(self) -> str:
        since = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(self.since))
        return f"process {self.pid} on {self.host}, since {since}, on {self.part}"


class Held:
    """A claim that is kept fresh until it is released."""

    def __init__(self, path: Path, claim: Claim) -> None:
        self.claim = claim
        self._path = path
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._beat, daemon=True, name="steppe-heartbeat")
        self._thread.start()

    def check(self) -> None:
        """Go on only while the claim is still ours.

        Raises:
            RunFailedError: It was silent for so long that another process took the work over.
        """
        if read_claim(self._path) not in {None, self.claim}:
            raise RunFailedError(
                f"run folder {self._path.parent.parent}",
                got="another process has taken over the work of this one, which was silent",
                expected="one process per part of the work",
                fix="nothing is lost: the other process goes on, or give the same command again",
            )

    def release(self) -> None:
        """Leave the folder."""
        self._stop.set()
        _leave(self._path, self.claim)

    def _beat(self) -> None:
        while not self._stop.wait(HEARTBEAT_SECONDS):
            if read_claim(self._path) not in {None, self.claim}:
                return
            # A disk that does not answer now may answer at the next beat.
            with suppress(OSError):
                os.utime(self._path)


def take(root: Path, part: Part, workers: int = 1) -> Held:
    """Claim a part of the work; to be called inside `alone`.

    Raises:
        InputError: Another process is at work on shards of that part.
        RunFailedError: The folder cannot be written.
    """
    refuse_if_claimed(root, part)
    claim = Claim.of_this_process(part, workers)
    path = root / WORKING / f"part-{part.index}-of-{part.count}.json"
    _remove_stale(path)
    if not _place(path, claim):
        raise _busy(root, read_claim(path))
    return Held(path, claim)


def refuse_if_claimed(root: Path, part: Part) -> None:
    """Say so when a process that lives is at work on shards of ``part``.

    Raises:
        InputError: There is one.
    """
    for claim in at_work(root):
        if claim.part.overlaps(part):
            raise _busy(root, claim)


def at_work(root: Path) -> list[Claim]:
    """The processes that are at work in a run folder, those that are gone left out."""
    folder, found = root / WORKING, []
    clock = cache(lambda: _clock_of(folder))
    for path in sorted(folder.glob("part-*.json")):
        claim = read_claim(path)
        if claim is not None and not _is_stale(path, claim, clock):
            found.append(claim)
    return found


@contextmanager
def alone(root: Path) -> Iterator[None]:
    """Take a turn in the folder that no other process has at the same time; wait for it.

    Raises:
        RunFailedError: The folder cannot be written.
    """
    path = root / WORKING / _TURN
    claim, held = Claim.of_this_process(Part()), None
    # A signal may come at any moment: a turn that was taken is given back whatever happens.
    try:
        while not _place(path, claim):
            _remove_stale(path)
            time.sleep(_POLL_SECONDS)
        held = Held(path, claim)
        yield
    finally:
        if held is None:
            _leave(path, claim)
        else:
            held.release()


def read_claim(path: Path) -> Claim | None:
    """The claim in a file; None when it is gone or damaged."""
    try:
        content = json.loads(path.read_bytes())
        return Claim(**{**content, "part": Part(**content["part"])})
    except (OSError, ValueError, TypeError, KeyError):
        return None


def _leave(path: Path, claim: Claim) -> None:
    if read_claim(path) == claim:
        # A folder that was removed meanwhile, or that can no longer be written, is no concern.
        with suppress(OSError):
            path.unlink(missing_ok=True)


def _place(path: Path, claim: Claim) -> bool:
    """Put a claim where none is, all of it at once; False where there is one."""
    unfinished, text = unfinished_path(path), json.dumps(asdict(claim))
    try:
        with writing(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            unfinished.write_text(text, encoding="utf-8")
            try:
                _link(unfinished, path, text)
            except FileExistsError:
                return False
        return True
    finally:
        with suppress(OSError):
            unfinished.unlink(missing_ok=True)


def _link(unfinished: Path, path: Path, text: str) -> None:
    try:
        os.link(unfinished, path)
    except OSError as error:
        if error.errno not in _NO_LINKS:
            raise
        # Who reads it half written takes it for a claim that cannot be read, which counts as one.
        with path.open("x", encoding="utf-8") as file:
            file.write(text)


def _remove_stale(path: Path) -> None:
    claim = read_claim(path)
    if not (path.exists() and _is_stale(path, claim, lambda: _clock_of(path.parent))):
        return
    aside = path.with_name(f".{uuid.uuid4().hex}{UNFINISHED}")
    try:
        with suppress(OSError):
            path.rename(aside)
            # Between the look and the move, another process may have taken the stale one's place.
            if read_claim(aside) != claim:
                os.link(aside, path)
    finally:
        with suppress(OSError):
            aside.unlink(missing_ok=True)


def _is_stale(path: Path, claim: Claim | None, clock: Callable[[], float]) -> bool:
    if claim is not None and claim.is_of_here:
        return claim.is_gone
    try:
        touched = path.stat().st_mtime
    except OSError:
        return True
    return clock() - touched > SILENCE_SECONDS


def _clock_of(folder: Path) -> float:
    """What time it is where the folder is kept; clocks of machines differ."""
    probe = folder / f".{uuid.uuid4().hex}{UNFINISHED}"
    try:
        probe.touch()
        return probe.stat().st_mtime
    except OSError:
        return time.time()
    finally:
        with suppress(OSError):
            probe.unlink(missing_ok=True)


def _busy(root: Path, claim: Claim | None) -> InputError:
    return InputError(
        f"run folder {root}",
        got=f"another run is at work in it: {claim or 'it has just begun'}",
        expected="one run per folder, or processes with different parts (--shard)",
        fix="wait for it (`steppe status` shows how far it is), or choose another folder with "
        "--out",
    )
