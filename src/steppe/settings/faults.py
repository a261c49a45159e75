"""An InputError as a pydantic error, so that all faults of some settings are reported together."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import ParamSpec, TypeVar

from pydantic_core import PydanticCustomError

from steppe.core.errors import InputError

P = ParamSpec("P")
R = TypeVar("R")
# The type of a fault that an `InputError` told.
TOLD = "told"


def as_fault(check: Callable[P, R]) -> Callable[P, R]:
    """Let a validator's `InputError` be one fault among others instead of the end of the check."""

    @wraps(check)
    def validate(*arguments: P.args, **named: P.kwargs) -> R:
        try:
            return check(*arguments, **named)
        except InputError as error:
            told = {"got": error.got, "expected": f"{error.expected} ({error.fix})"}
            raise PydanticCustomError(TOLD, "got {got}; expected {expected}", told) from error

    return validate
