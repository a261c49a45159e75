"""Which request a run answers, told before anything is loaded, so that a finished run is known.

A request is made of all settings, the content of every file that they name, steppe's code, the
packages beside it, and the machine. Where all of it is the same, so is what a run is identified by.
Where files here do not tell (a hub id, an object, code of one's own) there is no request: the model
is loaded, and the run's identity decides.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from steppe.core.bundled import DEMO, demo_folder
from steppe.core.code_version import code_sha256
from steppe.core.errors import SteppeError
from steppe.core.fetched import MODELS, fetched_model
from steppe.core.fixed_directions import fixed_direction
from steppe.core.hashing import file_sha256
from steppe.settings.catalogue import STUDIES
from steppe.settings.study_settings import StudySettings

# A folder with more files is not what a model or a data set is read from.
_MOST_FILES = 2000
_GPUS = ("/dev/nvidiactl", "/dev/kfd", "/dev/dxg")
# How the code of somebody's own is noted among a run's parts (`steppe.study.code_identity`).
_OWN_CODE = re.compile(r"(?!steppe\.)\S*:\S+ [0-9a-f]{12}\b")


@dataclass(frozen=True)
class Request:
    """What was asked, by content.

    Attributes:
        key: A hash of all of it.
        sources: The model, SAEs, prompts and other files that it names, as they are named.
    """

    key: str
    sources: frozenset[str]

    def tells_all_of(self, resolved: Mapping[str, Any]) -> bool:
        """Whether a run came of these sources and steppe's own code, and of nothing else.

        Args:
            resolved: That section of the run's configuration.
        """
        saes = resolved.get("sae_identity") or {}
        beside = [*([saes] if "source" in saes else saes.values()), resolved["prompts_identity"]]
        model = resolved["model_identity"]
        return (
            model["source"] not in {"hub", "object"}
            and all(one.get("revision") is None for one in (model, *beside))
            and all(self._names(str(one["source"])) for one in beside)
            and is_steppes_own(resolved)
        )

    def _names(self, source: str) -> bool:
        return any(source == one or source.startswith(f"{one}/") for one in self.sources)


def request_of(settings: StudySettings) -> Request | None:
    """The request that settings make; None where files here do not tell all of it."""
    if not _is_built_in(settings.study):
        return None
    asked = settings.model_dump(mode="json")
    try:
        places = dict(_places(settings, asked))
        content = {
            "settings": asked,
            "sources": {name: _sha256_of(place) for name, place in places.items()},
            "code": code_sha256(),
            "machine": _machine(),
        }
    except (SteppeError, OSError):
        # Loading them tells what is wrong.
        return None
    key = hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
    return Request(key, frozenset(places))


def is_steppes_own(resolved: Mapping[str, Any]) -> bool:
    """Whether a run is of a built-in study, with no kind, path or metric of somebody's own.

    Args:
        resolved: That section of the run's configuration.
    """
    own = any(_OWN_CODE.match(text) for text in _texts(resolved.get("parts", {})))
    return _is_built_in(resolved["study"]) and not own


def _is_built_in(study: str) -> bool:
    entry = STUDIES.get(study)
    return entry is not None and isinstance(entry.study, str)


def _places(settings: StudySettings, asked: Mapping[str, Any]) -> Iterator[tuple[str, Path]]:
    """Every source by its name, and where it lies; one that does not lie here cannot be hashed."""
    saes = settings.sae_sources or ([settings.sae_source] if settings.has_sae else [])
    for source in (settings.model, settings.prompts_source, *saes):
        if source.split("/")[0] == DEMO:
            yield DEMO, demo_folder()
        else:
            yield source, fetched_model(source) if source in MODELS else Path(source)
    for text in _texts(asked):
        direction = fixed_direction(text)
        named = text if direction is None else direction.source
        if direction is not None and direction.kind.name == "given":
            raise FileNotFoundError(named)
        if Path(named).expanduser().is_file():
            yield named, Path(named)


def _sha256_of(place: Path) -> str:
    """The hash of a file, or of all files below a folder with their names."""
    place = place.expanduser()
    if not place.is_dir():
        return file_sha256(place)
    every = (Path(at, name) for at, _, names in os.walk(place, followlinks=True) for name in names)
    files = list(islice(every, _MOST_FILES + 1))
    if len(files) > _MOST_FILES:
        raise FileNotFoundError(place)
    sums = [f"{path.relative_to(place)} {file_sha256(path)}" for path in sorted(files)]
    return hashlib.sha256("\n".join(sums).encode()).hexdigest()


def _machine() -> list[str]:
    """What decides which device `auto` is, and the last bit of a product."""
    gpus = [name for name in _GPUS if Path(name).exists()]
    return [platform.node(), platform.machine(), os.environ.get("CUDA_VISIBLE_DEVICES", ""), *gpus]


def _texts(value: Any) -> Iterator[str]:
    """Every text in plain data, keys of mappings left out."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping | list | tuple):
        for inner in value.values() if isinstance(value, Mapping) else value:
            yield from _texts(inner)
