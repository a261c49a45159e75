"""How a request (options or a YAML file) becomes a study's checked settings."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from reprlib import Repr
from typing import Any

import yaml
from pydantic import ValidationError

from steppe.core.errors import InputError
from steppe.core.names import nearest
from steppe.core.yaml_text import read_yaml
from steppe.settings.explaining import settings_class
from steppe.settings.faults import TOLD
from steppe.settings.study_settings import StudySettings

_SHOWN = Repr()
_SHOWN.maxlevel, _SHOWN.maxstring, _SHOWN.maxother = 3, 200, 200


def read_config(path: Path) -> dict[str, Any]:
    """Read a study's YAML file: a mapping with the key ``study`` and any of its settings.

    Raises:
        InputError: The file is missing, is not YAML, or is not a mapping with ``study``.
    """
    if not path.is_file():
        raise InputError(
            f"config {path}",
            got="a folder" if path.is_dir() else "nothing there",
            expected="a YAML file",
            fix="give the path of a file, for instance study.yaml",
        )
    try:
        content = read_yaml(path.read_text(encoding="utf-8"))
    # ValueError: no UTF-8, or a number or date that is none; the other: nested without end.
    except (OSError, yaml.YAMLError, ValueError, RecursionError) as error:
        raise InputError(
            f"config {path}",
            got=" ".join(str(error).split()),
            expected="a YAML file",
            fix="check its indentation and quotes",
        ) from error
    if isinstance(content, dict) and isinstance(content.get("asked"), dict):
        # A run folder's own config.yaml.
        content = content["asked"]
    if not isinstance(content, dict) or "study" not in content:
        raise InputError(
            f"config {path}",
            got="no key 'study'" if isinstance(content, dict) else type(content).__name__,
            expected="a mapping with the key 'study'",
            fix="start the file with `study: giglemiani2024`; a run's config.yaml shows every key",
        )
    return content


def settings_of(request: Mapping[str, Any], place: str) -> StudySettings:
    """Check a request against its study's settings.

    Args:
        request: Keys and values as asked; the key ``study`` names the study.
        place: Where the request came from, for the error.

    Raises:
        InputError: Unknown keys or wrong values; all of them are named at once.
    """
    study = _key(request["study"])
    hf_model = settings_class(study)
    try:
        return hf_model.model_validate({_key(key): value for key, value in request.items()})
    except ValidationError as error:
        faults = [_fault(fault, hf_model) for fault in error.errors()]
        raise InputError(
            place,
            got="; ".join(got for got, _ in faults),
            expected="; ".join(expected for _, expected in faults),
            fix=f"correct these keys; `steppe explain {study}` lists every setting",
        ) from None


def default_folder(settings: StudySettings) -> Path:
    """``runs/<study>-<model>``, with what was singled out of the study."""
    model = settings.model.rstrip("/").split("/")[-1]
    control = ["random-weights"] if settings.random_weights else []
    return Path("runs") / "-".join([settings.study, model, *control, *settings.variant])


def _fault(fault: Any, hf_model: type[StudySettings]) -> tuple[str, str]:
    key = ".".join(map(str, fault["loc"]))
    if fault["type"] == "extra_forbidden":
        near = nearest(key, hf_model.model_fields)
        return f"unknown key {_short(key)}", f"perhaps {near!r}" if near else "no such key"
    if fault["type"] == TOLD:
        return f"{key}: {_short(fault['ctx']['got'])}", f"{key}: {fault['ctx']['expected']}"
    return f"{key}: {_short(fault['input'])}", f"{key}: {fault['msg']}"


def _key(key: Any) -> str:
    return key if isinstance(key, str) else _short(key)


def _short(value: Any) -> str:
    """A value as it is shown: YAML's references make values of any size out of a few lines."""
    return _SHOWN.repr(value)
