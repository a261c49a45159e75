"""What a command prints: results, and mistakes as one message with an exit status."""

from __future__ import annotations

import io
import sys
import traceback
from typing import NoReturn

from steppe.core.errors import SteppeError
from steppe.core.text import printable


def say(text: object = "", *, error: bool = False) -> None:
    """Print text of any origin: what a terminal would obey is spelt out."""
    print(printable(str(text)), file=sys.stderr if error else sys.stdout)


def write_anything() -> None:
    """Let what the terminal's encoding does not hold be spelt out instead of ending the command."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def stop(error: SteppeError, *, with_traceback: bool) -> NoReturn:
    """Tell of an error, and what it arose from, and end with its exit status.

    Args:
        error: What went wrong.
        with_traceback: Whether to show where, and where all that it arose from.
    """
    if with_traceback:
        say("".join(traceback.format_exception(error)).rstrip(), error=True)
    say(f"steppe: {error}", error=True)
    if error.cause:
        hint = "" if with_traceback else " (--traceback shows where)"
        say(f"  cause:    {error.cause}{hint}", error=True)
    sys.exit(error.exit_status)
