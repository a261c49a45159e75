"""What a command prints: results, and mistakes as one message with an exit status."""

from __future__ import annotations

import io
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NoReturn

from steppe.core.errors import SteppeError
from steppe.core.text import printable


def say(text: object = "", *, error: bool = False) -> None:
    """Print text of any origin: what a terminal would obey is spelt out."""
    print(printable(str(text)), file=sys.stderr if error else sys.stdout)


@contextmanager
def writing_anything() -> Iterator[None]:
    """Let what the terminal's encoding does not hold be spelt out instead of ending the command."""
    streams = [one for one in (sys.stdout, sys.stderr) if isinstance(one, io.TextIOWrapper)]
    before = [stream.errors for stream in streams]
    for stream in streams:
        stream.reconfigure(errors="backslashreplace")
    try:
        yield
    finally:
        for stream, errors in zip(streams, before, strict=True):
            stream.reconfigure(errors=errors)


def stop(error: SteppeError, *, with_traceback: bool) -> NoReturn:
    """Tell of an error, and what it arose from, and end with its exit status.

    Args:
        error: What went wrong.
        with_traceback: Whether to show where, and where all that it arose from.
    """
    if with_traceback:
        say("".join(traceback.format_exception(error)).rstrip(), error=True)
    say(f"steppe: {error}", error=True)
    for note in getattr(error, "__notes__", ()):
        say(f"  note:     {note}", error=True)
    if error.cause:
        hint = "" if with_traceback else " (--traceback shows where)"
        say(f"  cause:    {error.cause}{hint}", error=True)
    sys.exit(error.exit_status)
