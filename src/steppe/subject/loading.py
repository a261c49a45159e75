"""Reading a model and its tokenizer from a folder or the hub, with errors that say what to do."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from transformers import (
    AutoModelForCausalLM,
    AutoTokenizer,
    PreTrainedModel,
    PreTrainedTokenizerBase,
)
from transformers.utils import cached_file, logging

from steppe.core.errors import InputError
from steppe.core.number_formats import check_dtype

_TOKENIZER_FILES = ("tokenizer.json", "tokenizer_config.json", "vocab.json", "tokenizer.model")


def parse_dtype(dtype: str | torch.dtype) -> torch.dtype:
    """Return the number format called ``dtype``.

    Raises:
        InputError: No such number format.
    """
    if isinstance(dtype, torch.dtype):
        dtype = str(dtype).removeprefix("torch.")
    found: torch.dtype = getattr(torch, check_dtype(dtype))
    return found


def parse_device(device: str | torch.device) -> torch.device:
    """Return the device called ``device``; ``auto`` is CUDA when there is one, else the CPU.

    Raises:
        InputError: No such device, or not on this machine.
    """
    has_cuda = torch.cuda.is_available()
    if device == "auto":
        return torch.device("cuda" if has_cuda else "cpu")
    try:
        parsed = torch.device(device)
        torch.empty(0, device=parsed)
    except (RuntimeError, AssertionError, NotImplementedError) as fault:
        raise InputError(
            "device",
            got=repr(str(device)),
            expected="a device of this machine: cpu" + (", cuda" if has_cuda else ""),
            fix="use device='auto' to take the best device there is",
        ) from fault
    return parsed


def is_local(source: str | Path) -> bool:
    """Whether ``source`` is a folder on this machine rather than a name on the hub.

    Raises:
        InputError: It can only be meant as a path, and nothing is there.
    """
    path = Path(source).expanduser()
    if path.is_dir():
        return True
    text = str(source)
    means_path = (
        isinstance(source, Path)
        or path.exists()
        or text.startswith((".", "~", os.sep))
        or text.count("/") > 1
    )
    if means_path:
        raise InputError(
            f"model {text}",
            got="a file" if path.exists() else "no such folder",
            expected="a folder with config.json and model.safetensors, or a hub id",
            fix="check the path (relative paths start at the current folder)",
        )
    return False


def find_commit(name: str, revision: str | None) -> str | None:
    """Return the commit that a hub revision stands for now, so that all files come from one.

    Raises:
        InputError: The hub cannot be reached, or has no such model or revision.
    """
    folder = find_folder(name, revision)
    # The hub's cache keeps each commit's files in a folder snapshots/<commit>.
    return folder.name if folder.parent.name == "snapshots" else revision


def find_folder(source: str, revision: str | None) -> Path:
    """Return the folder that holds a model: the user's own, or the one in the hub's cache.

    Raises:
        InputError: The hub cannot be reached, or has no such model or revision.
    """
    if (folder := Path(source).expanduser()).is_dir():
        return folder
    try:
        return Path(str(cached_file(source, "config.json", revision=revision))).parent
    except OSError as fault:
        raise _loading_error("model", source, fault) from fault


def load_model(source: str, dtype: torch.dtype, revision: str | None) -> PreTrainedModel:
    """Load a causal language model from a folder or the hub: safetensors only, no remote code.

    Raises:
        InputError: The folder is incomplete, or the hub cannot be reached or has no such model.
    """
    try:
        # The number format is always stated: transformers would take the checkpoint's otherwise.
        with _bars_on_terminals_only():
            model, report = AutoModelForCausalLM.from_pretrained(
                source,
                dtype=dtype,
                revision=revision,
                use_safetensors=True,
                trust_remote_code=False,
                output_loading_info=True,
                ignore_mismatched_sizes=True,  # refused below, by name
            )
    except (OSError, ValueError, KeyError, RuntimeError, SafetensorError) as fault:
        raise _loading_error("model", source, fault) from fault
    _check_report(report, source)
    loaded: PreTrainedModel = model.eval()
    return loaded


def _check_report(report: dict[str, Any], source: str) -> None:
    """Refuse weights that do not fill the model: transformers draws the rest at random."""
    missing = sorted(report["missing_keys"])
    unfit = sorted(name for name, *_shapes in report["mismatched_keys"])
    if missing or unfit:
        what = "no weights for" if missing else "weights of another shape for"
        raise InputError(
            f"model {source}",
            got=f"{what} {', '.join((missing or unfit)[:3])}",
            expected="weights for every parameter that config.json asks for",
            fix="save the whole model again, or choose the repository that holds it",
        )


@contextmanager
def _bars_on_terminals_only() -> Iterator[None]:
    """Keep transformers' progress bars out of logs and pipes; its own setting comes back."""
    was_enabled = logging.is_progress_bar_enabled()
    if not sys.stderr.isatty():
        logging.disable_progress_bar()
    try:
        yield
    finally:
        if was_enabled:
            logging.enable_progress_bar()


def load_tokenizer(source: str, revision: str | None) -> PreTrainedTokenizerBase | None:
    """Load the tokenizer beside a model; None when a folder holds none.

    Raises:
        InputError: There is one, and it cannot be read.
    """
    folder = Path(source).expanduser()
    if folder.is_dir() and not any((folder / name).exists() for name in _TOKENIZER_FILES):
        return None
    try:
        tokenizer: PreTrainedTokenizerBase = AutoTokenizer.from_pretrained(
            source, revision=revision, trust_remote_code=False
        )
    except (OSError, ValueError, KeyError) as fault:
        raise _loading_error("tokenizer", source, fault) from fault
    return tokenizer


def _loading_error(what: str, source: str, fault: Exception) -> InputError:
    reason = str(fault).strip().partition("\n")[0] or type(fault).__name__
    if not Path(source).expanduser().is_dir():
        return InputError(
            f"{what} {source!r} on the hub",
            got=reason,
            expected="a hub id that can be reached, or a local folder",
            fix="check the spelling and the network; or download it and give the folder's path",
        )
    if what == "tokenizer":
        return InputError(
            f"tokenizer in folder {source}",
            got=reason,
            expected="the files of a transformers tokenizer, or none of them",
            fix="save it with tokenizer.save_pretrained(folder), or pass tokenizer=",
        )
    return InputError(
        f"model in folder {source}",
        got=reason,
        expected="config.json and weights in safetensors (a transformers folder)",
        fix="save it with model.save_pretrained(folder); pickled weights are never read",
    )
