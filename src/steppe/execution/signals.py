"""Ctrl-C and SIGTERM in a process inside of Ray, which loses what they raise."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

_ASKED_TO_END = (signal.SIGINT, signal.SIGTERM)


@contextmanager
def kept() -> Iterator[None]:
    """Keep what SIGTERM does: Ray sets its own way as it starts."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.getsignal(signal.SIGTERM)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


@contextmanager
def deferred() -> Iterator[Callable[[], None]]:
    """Only note signals; the function that is given carries out what they ask for.

    It is to be called again and again, from where an exception may rise.
    """
    noted: list[int] = []
    if threading.current_thread() is not threading.main_thread():
        yield lambda: None
        return

    def note(number: int, _frame: object) -> None:
        noted.append(number)

    def carry_out() -> None:
        if noted:
            number = noted.pop()
            noted.clear()
            _act(number, before[number])

    before: dict[int, Any] = {number: signal.signal(number, note) for number in _ASKED_TO_END}
    try:
        yield carry_out
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    carry_out()


def _act(number: int, handler: Any) -> None:
    if callable(handler):
        handler(number, None)
    elif handler == signal.SIG_DFL:
        signal.signal(number, signal.SIG_DFL)
        os.kill(os.getpid(), number)
