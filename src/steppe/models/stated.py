"""What a model's files state of it, before any weight is read."""

from __future__ import annotations

from pathlib import Path

from transformers import PretrainedConfig

from steppe.core.bundled import DEMO, demo_model
from steppe.core.errors import InputError
from steppe.core.fetched import MODELS, fetched_model
from steppe.models.gguf import gguf_config, is_gguf
from steppe.models.loading import find_folder, is_local, read_config


def stated_config(source: str, revision: str | None = None) -> PretrainedConfig | None:
    """Read a model's configuration; None where it cannot be read, which loading the model explains.

    Args:
        source: ``demo``, a fetched model's name, a hub id, a folder, or a ``.gguf`` file.
        revision: Branch, tag or commit on the hub.

    Raises:
        InputError: There is no such model.
    """
    if is_gguf(source):
        return gguf_config(Path(source).expanduser())
    if source == DEMO:
        folder = demo_model()
    elif source in MODELS:
        folder = fetched_model(source)
    else:
        is_local(source)
        folder = find_folder(source, revision)
    try:
        return read_config(str(folder))
    except InputError:
        return None
