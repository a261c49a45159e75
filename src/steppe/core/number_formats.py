"""In which number formats can weights be held? Their names only: no torch is needed to ask."""

from __future__ import annotations

from typing import Literal, cast, get_args

from steppe.core.errors import InputError

Dtype = Literal["float32", "float64", "bfloat16", "float16"]


def check_dtype(dtype: str) -> Dtype:
    """Return ``dtype`` when it names a number format.

    Raises:
        InputError: It names none.
    """
    if dtype in get_args(Dtype):
        return cast(Dtype, dtype)
    raise InputError(
        "dtype",
        got=repr(dtype),
        expected=", ".join(get_args(Dtype)),
        fix="use 'float32' unless memory or speed forbids it",
    )
