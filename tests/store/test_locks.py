"""Two processes never work on the same shards; who is gone is no hindrance; who waits says so."""

from __future__ import annotations

import errno
import multiprocessing
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from filelock import FileLock

from steppe.core.errors import InputError, RunFailedError
from steppe.core.parts import Part
from steppe.store import locks
from steppe.store.locks import acquire, at_work, refuse_if_busy, whole

HOLDING = """
import sys, time
from pathlib import Path
from steppe.core.parts import Part
from steppe.store.locks import acquire, whole
root, what = Path(sys.argv[1]), sys.argv[2]
if what == "whole":
    with whole(root):
        print("held", flush=True)
        time.sleep(60)
held = acquire(root, Part.parse(what))
print("held", flush=True)
time.sleep(60)
"""


@contextmanager
def another_process(root: Path, what: str) -> Iterator[subprocess.Popen[str]]:
    """A process that holds a lock until it is killed."""
    words = [sys.executable, "-c", HOLDING, str(root), what]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        try:
            yield process
        finally:
            process.kill()


def test_a_second_run_is_told_who_is_at_work(tmp_path: Path) -> None:
    held = acquire(tmp_path, Part())
    with pytest.raises(InputError) as caught:
        acquire(tmp_path, Part())
    assert f"another run is at work in it: process {os.getpid()} on" in caught.value.got
    assert "wait for it" in caught.value.fix
    held.release()
    assert at_work(tmp_path) == []
    acquire(tmp_path, Part()).release()


def test_parts_of_one_count_work_together_and_with_nothing_else(tmp_path: Path) -> None:
    held = [acquire(tmp_path, Part(index, 3)) for index in (0, 2)]
    assert [holder.part for holder in at_work(tmp_path)] == [Part(0, 3), Part(2, 3)]
    refuse_if_busy(tmp_path, Part(1, 3))
    for other in (Part(), Part(0, 2), Part(2, 3)):
        with pytest.raises(InputError, match=r"part 0/3|part 2/3"):
            acquire(tmp_path, other)
    for one in held:
        one.release()


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_a_process_that_ended_is_taken_over_at_once(tmp_path: Path, number: int) -> None:
    with another_process(tmp_path, "0/1") as process:
        assert [holder.pid for holder in at_work(tmp_path)] == [process.pid]
        with pytest.raises(InputError, match=f"process {process.pid} on"):
            acquire(tmp_path, Part())
        process.send_signal(number)
        process.wait()
        assert at_work(tmp_path) == []
        held = acquire(tmp_path, Part())
        assert [holder.pid for holder in at_work(tmp_path)] == [os.getpid()]
        held.release()


def _try_to_take(root: Path, started: Any, taken: Any) -> None:
    started.wait()
    try:
        held = acquire(root, Part())
    except InputError:
        return
    with taken.get_lock():
        taken.value += 1
    time.sleep(1.5)
    held.release()


def test_of_many_that_find_a_dead_owner_one_takes_over(tmp_path: Path) -> None:
    with another_process(tmp_path, "0/1") as process:
        process.kill()
        process.wait()
    context = multiprocessing.get_context("fork")
    started, taken = context.Event(), context.Value("i", 0)
    many = [context.Process(target=_try_to_take, args=(tmp_path, started, taken)) for _ in range(6)]
    for one in many:
        one.start()
    started.set()
    for one in many:
        one.join(60)
    assert taken.value == 1


def test_waiting_says_for_whom_and_ends_after_a_stated_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(locks, "_TELL_SECONDS", 0.1)
    with another_process(tmp_path, "whole") as process:
        with pytest.raises(RunFailedError) as caught, whole(tmp_path, 0.5):
            pass
        assert caught.value.got.startswith("locked for more than 0 s by process ")
        assert f"process {process.pid} on " in caught.value.got
        assert ", since " in caught.value.got
        told = capsys.readouterr().err
        assert f"waiting for process {process.pid} on " in told
        assert "at most 0 min" in told
        process.kill()
        process.wait()
        with whole(tmp_path, 0.5):
            pass
    assert capsys.readouterr().err == ""


def _count_up(root: Path, times: int) -> None:
    for _ in range(times):
        with whole(root):
            counter = root / "counter"
            seen = int(counter.read_text())
            time.sleep(0.001)
            counter.write_text(str(seen + 1))


def test_the_run_belongs_to_one_process_after_the_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(locks, "_POLL_SECONDS", 0.001)
    (tmp_path / "counter").write_text("0")
    context = multiprocessing.get_context("fork")
    processes = [context.Process(target=_count_up, args=(tmp_path, 10)) for _ in range(3)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(60)
    assert (tmp_path / "counter").read_text() == "30"


def test_what_a_signal_interrupts_is_given_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Signal(BaseException):
        pass

    def interrupted(*_: object) -> None:
        raise Signal

    with monkeypatch.context() as patch:
        # Between the lock that was taken and what is done under it.
        patch.setattr(locks, "write_atomically", interrupted)
        with pytest.raises(Signal), whole(tmp_path):
            pass
        with pytest.raises(Signal):
            acquire(tmp_path, Part())
    with whole(tmp_path, 0.1):
        acquire(tmp_path, Part()).release()


@pytest.mark.parametrize("number", [errno.ENOSYS, errno.ENOTSUP, errno.ENOLCK])
def test_a_file_system_without_locks_and_without_hard_links(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError(number, "not here")

    monkeypatch.setattr(os, "link", refuse)
    monkeypatch.setattr(FileLock, "acquire", refuse)
    with whole(tmp_path):
        held = acquire(tmp_path, Part())
    assert at_work(tmp_path) == [held.holder]
    with pytest.raises(InputError, match="another run is at work"), whole(tmp_path):
        acquire(tmp_path, Part())
    held.release()
    assert at_work(tmp_path) == []
    with whole(tmp_path, 0.1):
        acquire(tmp_path, Part()).release()


def test_a_holder_that_cannot_be_read_is_one_all_the_same(tmp_path: Path) -> None:
    held = acquire(tmp_path, Part())
    (tmp_path / "working" / "part-0-of-1.json").write_text("{")
    with pytest.raises(InputError, match="a process that has just begun, on the whole run"):
        acquire(tmp_path, Part())
    held.release()


def test_a_folder_that_cannot_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError(errno.EROFS, "Read-only file system")

    monkeypatch.setattr(FileLock, "acquire", refuse)
    with pytest.raises(RunFailedError, match="Read-only file system"), whole(tmp_path):
        pass
