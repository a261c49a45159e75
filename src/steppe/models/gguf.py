"""Models in single `.gguf` files, which transformers reads and brings back to whole numbers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from transformers import (
    AutoConfig,
    AutoModelForCausalLM,
    AutoTokenizer,
    PretrainedConfig,
    PreTrainedModel,
    PreTrainedTokenizerBase,
)

from steppe.core.errors import InputError
from steppe.models.loading import check_report, quiet_bars, reason_of

SUFFIX = ".gguf"
_MAGIC = b"GGUF"
# What transformers, the package gguf and the memory map below it raise over a file at fault.
_FAULTS = (OSError, ValueError, LookupError, TypeError, AttributeError, RuntimeError, ImportError)


def is_gguf(source: str | Path) -> bool:
    """Whether a source is meant as a `.gguf` file.

    Raises:
        InputError: It is, and there is no such file, or it is none by its first bytes.
    """
    path = Path(source).expanduser()
    if path.suffix.lower() != SUFFIX:
        return False
    if not path.is_file():
        raise InputError(
            f"model {source}",
            got="no such file",
            expected="a .gguf file of this machine",
            fix="check the path (relative paths start at the current folder)",
        )
    with path.open("rb") as file:
        head = file.read(len(_MAGIC))
    if head != _MAGIC:
        raise _refusal(path, f"a file that begins with {head!r}")
    return True


def gguf_config(path: Path) -> PretrainedConfig:
    """Read the sizes and the family that a file states.

    Raises:
        InputError: It cannot be read, or holds a family that transformers does not read.
    """
    config: PretrainedConfig = _read(path, AutoConfig.from_pretrained)
    return config


def gguf_model(path: Path, dtype: torch.dtype) -> PreTrainedModel:
    """Read a model; quantised weights become the numbers that they stand for.

    Raises:
        InputError: The file cannot be read, or does not make up a whole model.
    """
    with quiet_bars():
        hf_model, report = _read(
            path, AutoModelForCausalLM.from_pretrained, dtype=dtype, output_loading_info=True
        )
    check_report({"mismatched_keys": (), **report}, str(path))
    # Its weights are plain numbers from here on.
    hf_model.hf_quantizer = None
    hf_model.config.__dict__.pop("quantization_config", None)
    read: PreTrainedModel = hf_model.to(dtype).eval()
    return read


def gguf_tokenizer(path: Path) -> PreTrainedTokenizerBase:
    """Read the tokenizer that the file holds.

    Raises:
        InputError: It holds none that transformers reads.
    """
    tokenizer: PreTrainedTokenizerBase = _read(path, AutoTokenizer.from_pretrained)
    return tokenizer


def _read(path: Path, reader: Any, **options: Any) -> Any:
    try:
        return reader(path.parent, gguf_file=path.name, trust_remote_code=False, **options)
    except _FAULTS as fault:
        raise _refusal(path, reason_of(fault)) from fault


def _refusal(path: Path, got: str) -> InputError:
    return InputError(
        f"model {path}",
        got=got,
        expected="a whole .gguf file of a family that transformers reads",
        fix="download it again, install the extra (pip install 'steppe[gguf]'), or give the folder "
        "or hub id of the model that it was made from",
    )
