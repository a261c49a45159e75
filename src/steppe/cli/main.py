"""The command table, and how a mistake is told: one message, no traceback, an exit status."""

from __future__ import annotations

import errno
import os
import signal
import sys
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated, Any, NoReturn

import typer
from typer.core import TyperGroup

from steppe import __version__
from steppe.cli.bundle import bundle
from steppe.cli.check import check
from steppe.cli.check_run import check_run
from steppe.cli.explain import explain
from steppe.cli.fetch import fetch
from steppe.cli.listing import listing
from steppe.cli.options import OVERWRITE
from steppe.cli.sae import sae
from steppe.cli.sample import sample
from steppe.cli.show import show
from steppe.cli.status import status
from steppe.cli.studies import reproduce, run
from steppe.cli.sweep import along, report, sweep
from steppe.cli.telling import say, stop, writing_anything
from steppe.cli.view import view
from steppe.core.command import command_line
from steppe.core.errors import RunFailedError, SteppeError

TRACEBACK = "--traceback"
# The commands that keep what they have done.
RESUMED = ("reproduce", "run", "sweep")
_OVERWRITING = (
    f"leave out {OVERWRITE} to go on with what is finished in the run folder: with it the run "
    "starts anew"
)
_BACKEND = "MPLBACKEND"
_AGAIN_SECONDS = 0.05


class Stopped(BaseException):
    """A signal asked the process to end; what it was doing is left in order on the way out."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


class _Commands(TyperGroup):
    """The commands in the order in which they are met."""

    def list_commands(self, ctx: Any) -> list[str]:
        return sorted(super().list_commands(ctx), key=lambda name: name not in RESUMED)


app = typer.Typer(
    name="steppe",
    cls=_Commands,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="Measure how a language model's output responds as one activation is moved along a path.",
    epilog="Start with: steppe reproduce giglemiani2024 --model demo --samples 50",
)
app.add_typer(reproduce, name="reproduce")
app.add_typer(run, name="run")
app.command()(sweep)
app.command()(report)
app.command()(along)
app.command()(explain)
app.command()(status)
app.command()(show)
app.command()(view)
app.command()(bundle)
app.command()(check)
app.command("check-run")(check_run)
app.command("list")(listing)
app.command()(fetch)
app.command()(sample)
app.add_typer(sae, name="sae")


def _version(value: bool) -> None:
    if value:
        say(f"steppe {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")
    ] = False,
    _traceback: Annotated[
        bool,
        typer.Option(
            TRACEBACK,
            help="Show where an error arose; anywhere on the line, or as STEPPE_TRACEBACK=1.",
        ),
    ] = False,
) -> None:
    """Measure how a model's output responds as one activation is moved along a path."""


def main(arguments: list[str] | None = None) -> None:
    """Run the command line.

    Args:
        arguments: Command-line words; those of the process when None.
    """
    words = sys.argv[1:] if arguments is None else arguments
    with_traceback = TRACEBACK in words or os.environ.get("STEPPE_TRACEBACK", "0") not in {"", "0"}
    words = [word for word in words if word != TRACEBACK]
    with writing_anything(), _no_window():
        _run(words, with_traceback=with_traceback)


def _run(words: list[str], *, with_traceback: bool) -> None:
    came: list[int] = []
    try:
        with _signals(came), command_line(words):
            app(args=words, standalone_mode=True)
    except Stopped as signalled:
        _end(signalled.number, words)
    except Exception as error:
        # What is raised in the middle of an import, libraries make an error of their own of.
        if came:
            _end(came[-1], words)
        if not isinstance(error, SteppeError | OSError):
            raise
        told = error if isinstance(error, SteppeError) else _explained(error)
        if isinstance(told, RunFailedError) and _overwrites(words):
            told.add_note(_OVERWRITING)
        stop(told, with_traceback=with_traceback)


def _end(number: int, words: list[str]) -> NoReturn:
    """Tell in one line that a signal ended the command, and what to do."""
    # What zarr was about to await is told as the process ends, beside the one line.
    warnings.filterwarnings("ignore", "coroutine .* was never awaited", RuntimeWarning)
    what = "interrupted" if number == signal.SIGINT else "told to end"
    say(f"steppe: {what}: {_afterwards(words)}", error=True)
    # The shell's convention: 128 and the signal, 130 for Ctrl-C, 143 for SIGTERM.
    sys.exit(128 + number)


def _afterwards(words: list[str]) -> str:
    """What a command that was ended does when it is given again."""
    if _overwrites(words):
        return _OVERWRITING
    if _command(words) in (*RESUMED, "fetch"):
        return "the same command goes on where this one stopped"
    return "the same command begins anew"


def _command(words: list[str]) -> str:
    return next((word for word in words if not word.startswith("-")), "")


def _overwrites(words: list[str]) -> bool:
    """Whether the command, given again, would remove what it has done."""
    return _command(words) in RESUMED and OVERWRITE in words


@contextmanager
def _no_window() -> Iterator[None]:
    """No window is ever opened, and a notebook's own backend need not be installed here."""
    before = os.environ.get(_BACKEND)
    os.environ[_BACKEND] = "agg"
    try:
        yield
    finally:
        del os.environ[_BACKEND]
        if before is not None:
            os.environ[_BACKEND] = before


def _explained(error: OSError) -> RunFailedError:
    """What the operating system refused, in the form of every other error."""
    full = error.errno in {errno.ENOSPC, errno.EDQUOT}
    failed = RunFailedError(
        str(error.filename or "the operating system"),
        got="no space left on the device" if full else error.strerror or str(error),
        expected="room for the run's results" if full else "a file that can be read or written",
        fix=f"{'free some space' if full else 'check the path and its permissions'}, then repeat "
        "the command: finished work is kept",
    )
    failed.__cause__ = error
    return failed


@contextmanager
def _signals(came: list[int]) -> Iterator[None]:
    """Turn Ctrl-C and SIGTERM into `Stopped`, so that both are ended in order, with one line.

    Args:
        came: Takes the signals as they come.
    """

    def stop(number: int, _frame: object) -> None:
        came.append(number)
        raise Stopped(number)

    def dropped(what: Any) -> None:
        # Python drops what is raised in a destructor: the signal is sent again, after it.
        if isinstance(what.exc_value, Stopped):
            again.append(threading.Timer(_AGAIN_SECONDS, signal.raise_signal, [came[-1]]))
            again[-1].start()
        else:
            hook(what)

    if threading.current_thread() is not threading.main_thread():
        yield
        return
    again: list[threading.Timer] = []
    before = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
    hook, sys.unraisablehook = sys.unraisablehook, dropped
    try:
        yield
    finally:
        sys.unraisablehook = hook
        for timer in again:
            timer.cancel()
        for number, handler in before.items():
            signal.signal(number, handler)
