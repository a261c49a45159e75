"""A run's configuration, as asked and as resolved: written, read, compared."""

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
from steppe.store.manifest import write_for_run

SECTIONS = ("asked", "resolved")
# The one setting that may grow: samples do not depend on each other.
SAMPLES = "samples"
_ABSENT = "nothing"
_HEADER = (
    "# What was asked for, and what it came to. Written by steppe; a run is resumed only with it.\n"
)


def write_config(root: Path, config: Mapping[str, Any]) -> None:
    """Write ``config.yaml``, and list it in the run's manifest with the run's identity."""
    body = {"format": FORMAT, **{name: plain(config[name]) for name in SECTIONS}}
    content = (_HEADER + yaml.safe_dump(body, sort_keys=False, allow_unicode=True)).encode()
    samples = plain(config["resolved"].get(SAMPLES))
    write_for_run(root, CONFIG, content, identity(config["resolved"]), samples=samples)


def read_config(root: Path) -> dict[str, Any]:
    """The configuration of a run folder, with the sections ``asked`` and ``resolved``.

    Raises:
        InputError: The folder has none, it is damaged, or steppe wrote it in another format.
    """
    path = root / CONFIG
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, yaml.YAMLError, ValueError, RecursionError) as error:
        raise damaged(path, " ".join(str(error).split())) from error
    if isinstance(content, dict) and content.get("format", FORMAT) != FORMAT:
        raise InputError(
            f"run folder {root}",
            got=f"format {content['format']}",
            expected=f"format {FORMAT}",
            fix="use the version of steppe that wrote it (see provenance.json), or choose another "
            "folder with --out",
        )
    if not isinstance(content, dict) or not all(isinstance(content.get(s), dict) for s in SECTIONS):
        raise damaged(path, "no mapping with the sections asked and resolved")
    return {name: content[name] for name in SECTIONS}


def check_same(root: Path, old: Mapping[str, Any], new: Mapping[str, Any]) -> None:
    """Check that a run can go on with these resolved settings: the same, or more samples.

    Raises:
        InputError: Others, each of which is named.
    """
    before, after = old.get(SAMPLES), new.get(SAMPLES)
    if isinstance(before, int) and isinstance(after, int) and after > before:
        old = {**old, SAMPLES: after}
    different = differences(old, new)
    if different:
        raise InputError(
            f"run folder {root}",
            got=f"a run of another configuration: {'; '.join(different)}",
            expected="the settings the run was started with (its config.yaml), or more samples",
            fix="ask for those settings, choose another folder with --out, or start anew with "
            "--overwrite",
        )


def differences(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    """Each key in which two configurations differ, as ``key: old -> new``."""
    before, after = dict(_flat(plain(old))), dict(_flat(plain(new)))
    return [
        f"{key}: {before.get(key, _ABSENT)} -> {after.get(key, _ABSENT)}"
        for key in {**before, **after}
        if before.get(key, _ABSENT) != after.get(key, _ABSENT)
    ]


def identity(resolved: Mapping[str, Any]) -> str:
    """What tells runs apart: a hash of every resolved setting but the number of samples."""
    settings = {key: value for key, value in plain(resolved).items() if key != SAMPLES}
    return hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()[:16]


def plain(value: Any) -> Any:
    """``value`` with the types that YAML and JSON know: lists for tuples, text for paths."""
    if isinstance(value, Mapping):
        return {str(key): plain(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [plain(inner) for inner in value]
    if isinstance(value, np.generic):
        return value.item()
    return str(value) if isinstance(value, Path) else value


def damaged(path: Path, got: str) -> InputError:
    """The error that says that ``config.yaml`` is not as it was written."""
    return InputError(
        f"config {path}",
        got=got,
        expected="the file steppe wrote when the run was started",
        fix="give the command that the run was started with, which writes it again (`steppe show "
        "RUN --provenance` prints it); or choose another folder with --out",
    )


def _flat(value: Any, key: str = "") -> Iterator[tuple[str, Any]]:
    if isinstance(value, Mapping) and value:
        for name, inner in value.items():
            yield from _flat(inner, f"{key}.{name}" if key else name)
    else:
        yield key, value
