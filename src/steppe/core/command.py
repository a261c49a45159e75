"""The words that the command line was given, for the provenance of what it makes."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar

_command: ContextVar[str | None] = ContextVar("command", default=None)


@contextmanager
def command_line(words: Sequence[str]) -> Iterator[None]:
    """Remember, as long as it runs, which words the command line was given."""
    token = _command.set(shlex.join(["steppe", *words]))
    try:
        yield
    finally:
        _command.reset(token)


def command() -> str | None:
    """The command line, ready to be given again; None where there is none: in a notebook, say."""
    return _command.get()
