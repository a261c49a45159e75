"""What tells one function of a study from another, in this process and in the next."""

from __future__ import annotations

import functools
import hashlib
import types
from collections.abc import Callable, Iterator, Mapping, Set
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np
import torch

_told: WeakKeyDictionary[Any, str] = WeakKeyDictionary()
_DATA = (str, bytes, int, float, complex, tuple, list, set, frozenset, dict, np.ndarray, np.generic,
         torch.Tensor)  # fmt: skip


def code_of(function: Callable[..., Any] | None) -> str:
    """A function's name, and for one of somebody's own a digest of what it computes with.

    The digest covers code, defaults, arguments of a `partial`, values it closes over, and the data
    and functions of its own module that it names. It is taken at a function's first use: what a
    function changes of these later (a list that it appends to) makes no other function of it.
    Steppe's own functions are told apart by name: version and commit are in the provenance.
    """
    if function is None:
        return ""
    whole = getattr(function, "func", function)
    name = f"{getattr(whole, '__module__', '')}:{getattr(whole, '__qualname__', '')}"
    if name.startswith("steppe."):
        return name
    try:
        known = _told.get(function)
    except TypeError:
        return f"{name} {_digest(function)}"
    if known is None:
        known = _told[function] = f"{name} {_digest(function)}"
    return known


def _digest(value: Any) -> str:
    found = hashlib.sha256()
    for piece in _pieces(value, set()):
        found.update(piece)
        found.update(b"\0")
    return found.hexdigest()[:12]


def _pieces(value: Any, seen: set[int]) -> Iterator[bytes]:
    """The content of a value, piece by piece, the same in every process."""
    yield f"{type(value).__module__}.{type(value).__qualname__}".encode()
    if value is None or isinstance(value, str | bytes | int | float | complex):
        yield repr(value).encode()
    elif isinstance(value, torch.Tensor):
        yield from _pieces(value.detach().cpu().contiguous().view(torch.uint8).numpy(), seen)
        yield repr((value.dtype, tuple(value.shape))).encode()
    elif isinstance(value, np.ndarray | np.generic) and value.dtype != object:
        yield repr((str(value.dtype), value.shape)).encode()
        yield value.tobytes()
    elif id(value) in seen:
        yield b"again"
    else:
        for part in _parts(value):
            yield from _pieces(part, seen | {id(value)})


def _parts(value: Any) -> list[Any]:
    """What a value that is more than plain data is made of."""
    if isinstance(value, Mapping):
        return sorted(value.items(), key=lambda item: _digest(item[0]))
    if isinstance(value, Set):
        return sorted(value, key=_digest)
    if isinstance(value, tuple | list):
        return list(value)
    if isinstance(value, np.ndarray):
        return [value.shape, list(value.flat)]
    return _parts_of_code(value) or _parts_of_object(value)


def _parts_of_code(value: Any) -> list[Any]:
    if isinstance(value, functools.partial):
        return [value.func, value.args, value.keywords]
    if isinstance(value, types.MethodType):
        return [value.__func__, value.__self__]
    if isinstance(value, types.CodeType):
        return [value.co_code, value.co_names, value.co_consts, value.co_varnames]
    return _parts_of_function(value) if isinstance(value, types.FunctionType) else []


def _parts_of_object(value: Any) -> list[Any]:
    if isinstance(value, type | types.ModuleType):
        return [getattr(value, "__module__", ""), value.__name__]
    if hasattr(value, "identity"):
        # A model or an SAE: which one it is has been told by its weights.
        return [value.identity, getattr(value, "content", "")]
    if getattr(value, "__dict__", None):
        return [vars(value)]
    # The address of an object is another in every process.
    shown = repr(value)
    return [] if " at 0x" in shown else [shown]


def _parts_of_function(function: types.FunctionType) -> list[Any]:
    name = f"{function.__module__}:{function.__qualname__}"
    if name.startswith("steppe."):
        return [name]
    cells = [cell.cell_contents for cell in function.__closure__ or () if _is_filled(cell)]
    named = [
        (other, value)
        for other in sorted(_names_in(function.__code__))
        if _counts(value := function.__globals__.get(other), function.__module__)
    ]
    return [name, function.__code__, function.__defaults__, function.__kwdefaults__, cells, named]


def _is_filled(cell: types.CellType) -> bool:
    try:
        return bool([cell.cell_contents])
    except ValueError:
        return False


def _names_in(code: types.CodeType) -> set[str]:
    inner = (one for one in code.co_consts if isinstance(one, types.CodeType))
    return set(code.co_names).union(*map(_names_in, inner))


def _counts(value: Any, module: str) -> bool:
    """Whether a global value belongs to a function: data, or a function of the same module."""
    own = isinstance(value, types.FunctionType) and value.__module__ == module
    return own or isinstance(value, _DATA)
