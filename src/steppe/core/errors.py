"""How steppe says that something is wrong: where, what came, what was expected, how to mend it."""

from __future__ import annotations

from traceback import format_exception

from steppe.core.text import brief

# So many characters of an error's text tell which one it is.
_KNOWN_BY = 100


class SteppeError(Exception):
    """Base of every error that steppe raises on purpose.

    Args:
        place: Where the fault is: a file, an option, an argument, a layer.
        got: What was found there.
        expected: What would have been right.
        fix: What the user can do about it.
    """

    exit_status = 1

    def __init__(self, place: str, *, got: str, expected: str, fix: str) -> None:
        super().__init__(place, got, expected, fix)
        self.place = place
        self.got = got
        self.expected = expected
        self.fix = fix

    def __reduce__(self) -> tuple[object, ...]:
        # An error has to reach the user from another process too, and keeps its kind and its cause.
        cause = "".join(format_exception(self.__cause__)) if self.__cause__ else ""
        return _rebuild, (type(self), (self.place, self.got, self.expected, self.fix), cause)

    @property
    def cause(self) -> str:
        """What it arose from, in one line; empty when the message says it already."""
        arose = self.__cause__
        said = str(arose.got if isinstance(arose, SteppeError) else arose).strip("'\"")
        # A message may leave out a long reason's end.
        said = " ".join(said.split())[:_KNOWN_BY]
        if arose is None or (said and said in " ".join(str(self).split())):
            return ""
        if isinstance(arose, CauseElsewhere):
            return brief(str(arose).strip().splitlines()[-1])
        return brief(f"{type(arose).__name__}: {arose}")

    def __str__(self) -> str:
        return (
            f"{self.place}\n"
            f"  got:      {self.got}\n"
            f"  expected: {self.expected}\n"
            f"  fix:      {self.fix}"
        )


class InputError(SteppeError):
    """The request cannot be carried out as given; the command line exits with 2."""

    exit_status = 2


class MissingExtraError(InputError):
    """An optional package is needed and not installed."""

    def __init__(self, place: str, *, package: str, extra: str) -> None:
        super().__init__(
            place,
            got=f"the package {package!r} is not installed",
            expected=f"an installation with the extra {extra!r}",
            fix=f"pip install 'steppe[{extra}]'",
        )


class NotMeasuredError(InputError):
    """A dataset or variable that this run does not have; another one may."""


class RunFailedError(SteppeError):
    """A run that was rightly asked for could not be finished; the command line exits with 1."""


class CauseElsewhere(Exception):
    """The traceback, as text, of what an error arose from in another process."""


def _rebuild(kind: type[SteppeError], told: tuple[str, str, str, str], cause: str) -> SteppeError:
    place, got, expected, fix = told
    error = kind.__new__(kind)
    SteppeError.__init__(error, place, got=got, expected=expected, fix=fix)
    error.__cause__ = CauseElsewhere(cause) if cause else None
    return error
