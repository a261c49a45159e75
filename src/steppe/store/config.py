"""How is a run's configuration written, read and compared?"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from steppe.core.errors import InputError
from steppe.store.layout import CONFIG, FORMAT

SECTIONS = ("asked", "resolved")
# The one setting that may grow: samples do not depend on each other.
SAMPLES = "samples"
_ABSENT = "nothing"
_HEADER = (
    "# What was asked for, and what it came to. Written by steppe; a run is resumed only with it.\n"
)


def to_yaml(config: Mapping[str, Any]) -> bytes:
    """The text of ``config.yaml``."""
    body = {"format": FORMAT, **{name: plain(config[name]) for name in SECTIONS}}
    return (_HEADER + yaml.safe_dump(body, sort_keys=False, allow_unicode=True)).encode()


def read_config(root: Path) -> dict[str, Any]:
    """The configuration of a run folder, with the sections ``asked`` and ``resolved``.

    Raises:
        InputError: The folder has none, it is damaged, or a newer steppe wrote it.
    """
    path = root / CONFIG
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, yaml.YAMLError, ValueError, RecursionError) as error:
        raise _damaged(path, " ".join(str(error).split())) from error
    if isinstance(content, dict) and content.get("format", FORMAT) != FORMAT:
        raise InputError(
            f"run folder {root}",
            got=f"format {content['format']}",
            expected=f"format {FORMAT}",
            fix="use the version of steppe that wrote it (see provenance.json)",
        )
    if not isinstance(content, dict) or not all(isinstance(content.get(s), dict) for s in SECTIONS):
        raise _damaged(path, "no mapping with the sections asked and resolved")
    return {name: content[name] for name in SECTIONS}


def differences(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    """Each key in which two configurations differ, as ``key: old -> new``."""
    before, after = dict(_flat(plain(old))), dict(_flat(plain(new)))
    return [
        f"{key}: {before.get(key, _ABSENT)} -> {after.get(key, _ABSENT)}"
        for key in [*before, *(key for key in after if key not in before)]
        if before.get(key, _ABSENT) != after.get(key, _ABSENT)
    ]


def identity(config: Mapping[str, Any]) -> str:
    """What tells runs apart: a hash of every resolved setting but the number of samples."""
    settings = {key: value for key, value in plain(config["resolved"]).items() if key != SAMPLES}
    return hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()[:16]


def extended(known: Mapping[str, Any], samples: Any) -> dict[str, Any]:
    """A configuration with another number of samples, in both of its sections."""
    return {name: {**known[name], SAMPLES: plain(samples)} for name in SECTIONS}


def plain(value: Any) -> Any:
    """``value`` with the types that YAML and JSON know: lists for tuples, text for paths."""
    if isinstance(value, Mapping):
        return {str(key): plain(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [plain(inner) for inner in value]
    if isinstance(value, np.generic):
        return value.item()
    return str(value) if isinstance(value, Path) else value


def _flat(value: Any, key: str = "") -> Iterator[tuple[str, Any]]:
    if isinstance(value, Mapping) and value:
        for name, inner in value.items():
            yield from _flat(inner, f"{key}.{name}" if key else name)
    else:
        yield key, value


def _damaged(path: Path, got: str) -> InputError:
    return InputError(
        f"config {path}",
        got=got,
        expected="the file steppe wrote when the run was started",
        fix="give the command that the run was started with, which writes it again; or choose "
        "another folder with --out",
    )
