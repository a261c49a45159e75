"""Two processes never work on the same shards; who is gone is no hindrance."""

from __future__ import annotations

import json
import multiprocessing
import os
import subprocess
import sys
import time
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from steppe.core.errors import InputError, RunFailedError
from steppe.core.parts import Part
from steppe.store import claims
from steppe.store.claims import Claim, alone, at_work, refuse_if_claimed, take


def put(root: Path, claim: Claim, name: str = "part-0-of-1.json") -> Path:
    """Leave a claim as another process would."""
    path = root / "working" / name
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(asdict(claim)))
    return path


def gone() -> Claim:
    """The claim of a process of this machine that has ended."""
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return replace(Claim.of_this_process(Part()), pid=process.pid, born="1")


def test_a_second_run_is_told_who_is_at_work(tmp_path: Path) -> None:
    held = take(tmp_path, Part())
    with pytest.raises(InputError) as caught:
        take(tmp_path, Part())
    assert f"another run is at work in it: process {os.getpid()} on" in caught.value.got
    assert "wait for it" in caught.value.fix
    held.release()
    assert at_work(tmp_path) == []
    take(tmp_path, Part()).release()


def test_parts_of_one_count_work_together_and_with_nothing_else(tmp_path: Path) -> None:
    held = [take(tmp_path, Part(index, 3)) for index in (0, 2)]
    assert [claim.part for claim in at_work(tmp_path)] == [Part(0, 3), Part(2, 3)]
    refuse_if_claimed(tmp_path, Part(1, 3))
    for other in (Part(), Part(0, 2), Part(2, 3)):
        with pytest.raises(InputError, match=r"part 0/3|part 2/3"):
            take(tmp_path, other)
    for one in held:
        one.release()


def test_a_process_that_ended_is_taken_over_at_once(tmp_path: Path) -> None:
    put(tmp_path, gone())
    assert at_work(tmp_path) == []
    held = take(tmp_path, Part())
    assert [claim.pid for claim in at_work(tmp_path)] == [os.getpid()]
    held.release()


def test_a_process_id_that_was_given_again_is_another_process(tmp_path: Path) -> None:
    put(tmp_path, replace(Claim.of_this_process(Part()), born="1"))
    assert at_work(tmp_path) == []


def test_a_container_of_this_machine_counts_as_another_machine(tmp_path: Path) -> None:
    inside = replace(gone(), numbering="pid:[7]")
    path = put(tmp_path, inside)
    with pytest.raises(InputError, match=f"process {inside.pid}"):
        take(tmp_path, Part())
    silent = time.time() - claims.SILENCE_SECONDS - 5
    os.utime(path, (silent, silent))
    take(tmp_path, Part()).release()


def test_a_machine_that_was_started_again_has_none_of_its_processes_left(tmp_path: Path) -> None:
    put(tmp_path, replace(Claim.of_this_process(Part()), boot="before"))
    assert at_work(tmp_path) == []


def test_a_turn_that_a_signal_interrupts_is_given_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Signal(BaseException):
        pass

    def interrupted(*_: object) -> None:
        raise Signal

    with monkeypatch.context() as patch:
        # Between the turn that was taken and what is done in it.
        patch.setattr(claims, "Held", interrupted)
        with pytest.raises(Signal), alone(tmp_path):
            pass
    with alone(tmp_path):
        pass


def test_another_machine_counts_until_it_is_silent_for_long(tmp_path: Path) -> None:
    path = put(tmp_path, replace(Claim.of_this_process(Part()), host="elsewhere"))
    with pytest.raises(InputError, match="elsewhere"):
        take(tmp_path, Part())
    silent = time.time() - claims.SILENCE_SECONDS - 5
    os.utime(path, (silent, silent))
    take(tmp_path, Part()).release()


def test_a_claim_is_kept_fresh_and_its_loss_is_noticed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(claims, "HEARTBEAT_SECONDS", 0.02)
    held = take(tmp_path, Part())
    path = tmp_path / "working" / "part-0-of-1.json"
    os.utime(path, (1, 1))
    deadline = time.monotonic() + 5
    while path.stat().st_mtime == 1 and time.monotonic() < deadline:
        time.sleep(0.02)
    assert path.stat().st_mtime > 1
    held.check()
    put(tmp_path, replace(held.claim, token="other"))
    with pytest.raises(RunFailedError, match="another process has taken over"):
        held.check()
    held.release()
    assert path.exists()  # it is the other's


def test_a_damaged_claim_counts_until_it_is_silent_for_long(tmp_path: Path) -> None:
    path = put(tmp_path, gone())
    path.write_text("{")
    with pytest.raises(InputError, match="it has just begun"):
        take(tmp_path, Part())
    silent = time.time() - claims.SILENCE_SECONDS - 5
    os.utime(path, (silent, silent))
    take(tmp_path, Part()).release()


def _count_up(root: Path, times: int) -> None:
    for _ in range(times):
        with alone(root):
            counter = root / "counter"
            seen = int(counter.read_text())
            time.sleep(0.001)
            counter.write_text(str(seen + 1))


def test_turns_are_taken_one_after_the_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(claims, "_POLL_SECONDS", 0.001)
    (tmp_path / "counter").write_text("0")
    # A turn that was never given back, by a process that ended, is no hindrance either.
    put(tmp_path, gone(), "turn.json")
    context = multiprocessing.get_context("fork")
    processes = [context.Process(target=_count_up, args=(tmp_path, 10)) for _ in range(3)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(60)
    assert (tmp_path / "counter").read_text() == "30"
    assert list((tmp_path / "working").iterdir()) == []


def test_a_file_system_without_hard_links(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "link", refuse)
    with alone(tmp_path):
        held = take(tmp_path, Part())
    assert at_work(tmp_path) == [held.claim]
    with pytest.raises(InputError, match="another run is at work"), alone(tmp_path):
        take(tmp_path, Part())
    held.release()
    assert list((tmp_path / "working").iterdir()) == []


def test_a_folder_that_cannot_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr(Path, "write_text", refuse)
    with pytest.raises(RunFailedError, match="Read-only file system"), alone(tmp_path):
        pass
