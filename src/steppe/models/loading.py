"""Reading a model from a folder or the hub, with errors that say what to do."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from huggingface_hub.errors import StrictDataclassError
from safetensors import SafetensorError
from transformers import AutoConfig, AutoModelForCausalLM, PretrainedConfig, PreTrainedModel
from transformers.utils import cached_file, logging

from steppe.core.errors import InputError
from steppe.core.number_formats import check_dtype
from steppe.models.checkpoint import without_tables

_ATTENTIONS = (None, "eager", "sdpa")
# What Python and torch raise when sizes or names of a configuration make no model.
_BUILDING_FAULTS = (
    TypeError,
    AttributeError,
    LookupError,
    ArithmeticError,
    AssertionError,
    RuntimeError,
)
_LONG = 500
QUANTISATION = "quantization_config"


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
        raise loading_error("model", source, fault) from fault


def load_hf_model(
    source: str,
    dtype: torch.dtype,
    revision: str | None,
    device_map: str | Mapping[str, Any] | None = None,
) -> PreTrainedModel:
    """Load a causal language model from a folder or the hub: safetensors only, no remote code.

    Args:
        source: A folder, or a hub id.
        dtype: The number format to load into; the checkpoint's own is not taken.
        revision: Commit on the hub.
        device_map: How accelerate is to share it out over devices, and over the disk; None: it
            stays in one piece.

    Raises:
        InputError: The files do not make up a whole model of transformers as they are, or the hub
            cannot be reached or has no such model.
    """
    config = read_config(source, revision)
    quantised = getattr(config, QUANTISATION, None)
    # Only then are accelerate and what it needs asked for.
    placed: dict[str, Any] = {} if device_map is None else {"device_map": device_map}
    try:
        with quiet_bars():
            hf_model, report = AutoModelForCausalLM.from_pretrained(
                source,
                config=config,
                dtype=dtype,
                revision=revision,
                use_safetensors=True,
                trust_remote_code=False,
                output_loading_info=True,
                ignore_mismatched_sizes=True,  # refused below, by name
                **placed,
            )
    except ImportError as fault:
        if quantised is not None:
            raise _quantised_error(source, quantised, fault) from fault
        raise InputError(
            f"model {source}",
            got=reason_of(fault),
            expected="a model that needs no package beyond transformers",
            fix="install the package named, or choose another model",
        ) from fault
    except (OSError, ValueError, SafetensorError, *_BUILDING_FAULTS) as fault:
        if type(fault) is type(_fault_of_building(config)):
            raise _config_error(source, fault, _raw_config(source, revision)) from fault
        if quantised is not None and type(fault) is ValueError:
            raise _quantised_error(source, quantised, fault) from fault
        # Anything else, such as too little memory, is not the files' fault.
        if not isinstance(fault, OSError | ValueError | SafetensorError):
            raise
        raise loading_error("model", source, fault) from fault
    check_report(report, source)
    loaded: PreTrainedModel = hf_model.eval()
    return loaded


def read_config(source: str, revision: str | None = None) -> PretrainedConfig:
    """Read config.json; how attention is computed is not its business where that needs more.

    Args:
        source: A folder, or a hub id.
        revision: Commit on the hub.

    Raises:
        InputError: There is none, or its values do not make up a configuration.
    """
    folder = Path(source).expanduser()
    if folder.is_dir() and not (folder / "config.json").exists():
        raise loading_error("model", source, FileNotFoundError("no config.json"))
    try:
        config: PretrainedConfig = AutoConfig.from_pretrained(
            source, revision=revision, trust_remote_code=False
        )
    except OSError as fault:
        raise loading_error("model", source, fault) from fault
    except (StrictDataclassError, ValueError) as fault:
        raise _config_error(source, fault, {}) from fault
    except _BUILDING_FAULTS as fault:
        raw = _raw_config(source, revision)
        if not isinstance(stated := raw.get(QUANTISATION) or {}, Mapping):
            raise _quantised_error(source, stated, fault) from fault
        raise _config_error(source, fault, raw) from fault
    if config._attn_implementation not in _ATTENTIONS:
        config._attn_implementation = None
    return config


def _raw_config(source: str, revision: str | None) -> dict[str, Any]:
    raw: dict[str, Any] = json.loads((find_folder(source, revision) / "config.json").read_text())
    return raw


def _fault_of_building(config: PretrainedConfig) -> Exception | None:
    """What goes wrong when a model is built of its configuration alone, without memory."""
    try:
        with torch.device("meta"):
            AutoModelForCausalLM.from_config(config, trust_remote_code=False)
    except (ValueError, *_BUILDING_FAULTS) as fault:
        return fault
    return None


def _config_error(source: str, fault: Exception, config: dict[str, Any]) -> InputError:
    """Name the keys at fault: transformers does, or their value was looked up, or is no size."""
    reason, keys = reason_of(fault), []
    if isinstance(fault, KeyError):
        keys = [key for key, value in _entries(config) if value == fault.args[0]]
        reason = f"unknown {reason}" if keys else str(fault.args[0])
    elif "'" not in reason:
        keys = [
            f"{key} = {value}"
            for key, value in _entries(config)
            if type(value) is int and value < 1 and not key.endswith("_id")
        ]
    return InputError(
        f"config.json of {source}",
        got=": ".join(filter(None, [", ".join(dict.fromkeys(keys)), reason])),
        expected="values that make up a model of transformers",
        fix="correct the key, or take config.json from where the weights come from",
    )


def _entries(config: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Every key of a configuration, inner ones after a dot, and its value."""
    for key, value in config.items():
        if isinstance(value, Mapping):
            yield from _entries(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value


def _quantised_error(source: str, stated: Any, fault: Exception) -> InputError:
    method = stated.get("quant_method") if isinstance(stated, Mapping) else None
    return InputError(
        f"config.json of {source}, {QUANTISATION}",
        got=f"weights quantised by {method or 'an unnamed method'}: {reason_of(fault)}",
        expected="weights that this installation can read",
        fix="choose the model that they were quantised from, or "
        + ("install the package named; " if isinstance(fault, ImportError) else "")
        + "remove the key where the weights are plain numbers",
    )


def check_report(report: dict[str, Any], source: str) -> None:
    """Refuse weights that are not the model's: transformers draws some at random, drops others.

    Args:
        report: What `from_pretrained` says of its loading.
        source: What it was loaded from.

    Raises:
        InputError: Weights are lacking, left over, or of another shape.
    """
    missing = sorted(report["missing_keys"])
    unfit = sorted(
        f"{name} ({tuple(stored)}, where it asks for {tuple(asked)})"
        for name, stored, asked in report["mismatched_keys"]
    )
    dropped = without_tables(report["unexpected_keys"])
    if missing or unfit:
        what = "no weights for" if missing else "weights of another shape for"
        raise InputError(
            f"model {source}",
            got=f"{what} {_some(missing or unfit)}",
            expected="weights for every parameter that config.json asks for",
            fix="correct the sizes in config.json where they are wrong; or save the whole model "
            "again, or choose the repository that holds it",
        )
    if dropped:
        raise InputError(
            f"model {source}",
            got=f"weights that config.json does not ask for: {_some(dropped)}",
            expected="no weights but the model's: without them it would be another model",
            fix="correct the keys of config.json that ask for them (such as attention_bias), "
            "or remove them from the file when they belong to something else",
        )


def _some(names: list[str]) -> str:
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return ", ".join(names[:3]) + more


@contextmanager
def quiet_bars() -> Iterator[None]:
    """Keep transformers' progress bars out of logs and pipes; its own setting comes back."""
    was_enabled = logging.is_progress_bar_enabled()
    if not sys.stderr.isatty():
        logging.disable_progress_bar()
    try:
        yield
    finally:
        if was_enabled:
            logging.enable_progress_bar()


def reason_of(fault: Exception) -> str:
    """What an error of another library says, on one line."""
    text = " ".join(str(fault).split())
    return (text if len(text) <= _LONG else f"{text[:_LONG]} ...") or type(fault).__name__


def loading_error(what: str, source: str, fault: Exception) -> InputError:
    """Say that files cannot be read, and what they should be.

    Args:
        what: ``model`` or ``tokenizer``.
        source: A folder, or a hub id.
        fault: What transformers says.
    """
    reason = reason_of(fault)
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
