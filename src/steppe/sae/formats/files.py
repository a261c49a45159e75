"""Files of other formats than safetensors, read without running anything that they hold.

How large a file is, and what its header claims, is looked at before memory is taken.
"""

from __future__ import annotations

import json
import os
import pickle
import struct
import zipfile
import zlib
from pathlib import Path
from typing import IO, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from steppe.core.errors import InputError

_DAMAGED = (
    AttributeError,
    EOFError,
    IndexError,
    KeyError,
    OSError,
    OverflowError,
    RuntimeError,
    TypeError,
    ValueError,
    struct.error,
    zipfile.BadZipFile,
    zlib.error,
)
_GB = 1e9
_PLAIN = "a dictionary of tensors as torch.save writes it, readable with weights_only"
_NUMBERS = "an npz or npy file of numbers"


def refusal(path: Path, got: str, expected: str, fix: str = "fetch it again") -> InputError:
    """An error about one file."""
    return InputError(str(path), got=got, expected=expected, fix=fix)


def read_json(path: Path) -> dict[str, Any]:
    """Read a file that holds one JSON object.

    Raises:
        InputError: It holds something else, or cannot be read.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    # ValueError: also no UTF-8, and numbers too long to be one; RecursionError: nested endlessly.
    except (OSError, ValueError, RecursionError) as error:
        raise refusal(path, f"not JSON ({error})", "one JSON object") from None
    if not isinstance(content, dict):
        raise refusal(path, f"a JSON {type(content).__name__}", "one JSON object")
    return content


def read_pt(path: Path) -> dict[str, Any]:
    """Read a dictionary that torch saved: tensors, numbers and texts, never code.

    Raises:
        InputError: The file needs code to be run, is damaged, is larger than this machine's memory,
            or holds something else than a dictionary.
    """
    content = load_pt(path, "dict(getattr(m, 'state_dict', lambda: m)())")
    if not isinstance(content, dict):
        raise refusal(path, f"a {type(content).__name__}", _PLAIN)
    return content


def load_pt(path: Path, plain: str) -> Any:
    """Read what torch saved, never running code.

    Args:
        path: The file.
        plain: Python that makes plain data of its content ``m``, for the line that converts it.

    Raises:
        InputError: The file needs code to be run, is damaged, or is larger than this machine's
            memory.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            size = sum(entry.file_size for entry in archive.infolist())
        # What torch writes is not compressed: more inside than outside is no file of torch's.
        _check_size(path, max(size, path.stat().st_size), path.stat().st_size)
        return torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise refusal(
            path,
            f"a file that would run code when it is read ({_first_line(error)})",
            _PLAIN,
            "if you trust it, convert it once: python -c \"import torch; m = torch.load('IN.pt', "
            f"weights_only=False); torch.save({plain}, 'OUT.pt')\"",
        ) from None
    except _DAMAGED as error:
        raise refusal(path, f"unreadable ({_first_line(error)})", _PLAIN) from None


def read_npz(path: Path) -> dict[str, Tensor]:
    """Read every array of an npz file as a tensor; Python objects are refused.

    Raises:
        InputError: The file is damaged, holds objects, or claims more than this machine's memory.
    """
    try:
        return {name: torch.from_numpy(array) for name, array in read_arrays(path).items()}
    except TypeError as error:
        raise refusal(path, f"unreadable ({_first_line(error)})", _NUMBERS) from None


def read_arrays(path: Path) -> dict[str, NDArray[Any]]:
    """Read every array of an npz file, or the one of an npy file, whose name is empty.

    Raises:
        InputError: The file is damaged, holds objects, or claims more than this machine's memory.
    """
    try:
        if path.suffix == ".npy":
            with path.open("rb") as file:
                _check_size(path, _claimed(file), path.stat().st_size)
            return {"": np.load(path, allow_pickle=False)}
        with zipfile.ZipFile(path) as archive:
            for entry in archive.infolist():
                with archive.open(entry) as file:
                    _check_size(path, _claimed(file), entry.file_size)
        with np.load(path, allow_pickle=False) as arrays:
            return {name: np.array(arrays[name]) for name in arrays.files}
    except _DAMAGED as error:
        raise refusal(path, f"unreadable ({_first_line(error)})", _NUMBERS) from None


def check_memory(path: Path) -> None:
    """Refuse a file that is larger than this machine's memory.

    Raises:
        InputError: It is.
    """
    if path.exists():
        _check_size(path, path.stat().st_size, path.stat().st_size)


def tensor_of(content: dict[str, Any], name: str, path: Path) -> Tensor:
    """One tensor of a dictionary, plain and with as many numbers as it claims to have.

    Raises:
        InputError: There is none of that name, or it is no plain tensor.
    """
    found = content.get(name)
    if isinstance(found, Tensor) and found.layout == torch.strided and found.device.type == "cpu":
        held = found.untyped_storage().nbytes()
        if found.numel() * found.element_size() <= held:
            return found.detach()
        got = f"{name!r} of shape {tuple(found.shape)}, with {held} bytes behind it"
    elif name in content:
        got = f"{name!r}, a {type(found).__name__}"
    else:
        got = f"no tensor {name!r}, only {', '.join(map(repr, list(content)[:12])) or 'nothing'}"
    raise refusal(path, got, f"a tensor {name!r}")


def _claimed(file: IO[bytes]) -> int:
    """Bytes that an array takes by its header."""
    version = np.lib.format.read_magic(file)
    read = {1: np.lib.format.read_array_header_1_0, 2: np.lib.format.read_array_header_2_0}
    if version[0] not in read:
        raise ValueError(f"npy version {version}")
    shape, _, dtype = read[version[0]](file)
    if dtype.hasobject:
        raise ValueError("an array of Python objects")
    return int(np.prod([int(n) for n in shape], dtype=object)) * dtype.itemsize


def _check_size(path: Path, claimed: int, held: int) -> None:
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    if claimed > held:
        raise refusal(
            path,
            f"{claimed / _GB:.3g} GB by its header, and {held / _GB:.3g} GB in the file",
            "a file that holds what it claims",
        )
    if held > memory:
        raise refusal(
            path,
            f"{held / _GB:.3g} GB",
            f"at most {memory / _GB:.3g} GB, the memory of this machine",
            "use a machine with more memory, or a smaller file",
        )


def _first_line(error: BaseException) -> str:
    return next(iter(str(error).splitlines()), type(error).__name__)[:200]
