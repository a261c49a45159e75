"""Signals wait where what they raise would be lost, and are then carried out."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator

import pytest

from steppe.execution.signals import deferred, kept


class Asked(BaseException):
    """What a signal raises here."""


@pytest.fixture(autouse=True)
def raising() -> Iterator[None]:
    def stop(number: int, _frame: object) -> None:
        raise Asked(number)

    before = {n: signal.signal(n, stop) for n in (signal.SIGINT, signal.SIGTERM)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_waits_until_it_may_rise(number: int) -> None:
    reached = []

    def work() -> None:
        with deferred() as carry_out:
            carry_out()
            os.kill(os.getpid(), number)
            reached.append("after the signal")
            carry_out()
            reached.append("too far")

    with pytest.raises(Asked) as caught:
        work()
    assert caught.value.args == (number,)
    assert reached == ["after the signal"]


def test_a_signal_that_nobody_looked_for_rises_at_the_end() -> None:
    with pytest.raises(Asked), deferred():
        os.kill(os.getpid(), signal.SIGTERM)


def test_a_failure_comes_before_a_signal() -> None:
    def fail() -> None:
        with deferred():
            os.kill(os.getpid(), signal.SIGTERM)
            raise ValueError("broken")

    with pytest.raises(ValueError, match="broken"):
        fail()


def test_an_ignored_signal_stays_ignored() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with deferred() as carry_out:
        os.kill(os.getpid(), signal.SIGINT)
        carry_out()


def test_another_programs_choice_is_undone() -> None:
    with kept():
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    with pytest.raises(Asked):
        os.kill(os.getpid(), signal.SIGTERM)


def test_other_threads_have_no_signals() -> None:
    fine = []

    def enter() -> None:
        with kept(), deferred() as carry_out:
            carry_out()
            fine.append(True)

    thread = threading.Thread(target=enter)
    thread.start()
    thread.join()
    assert fine == [True]
