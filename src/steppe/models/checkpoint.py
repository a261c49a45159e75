"""What lies in a model's folder, beside what transformers makes of it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from pathlib import Path

from transformers.utils import find_adapter_config_file

from steppe.core.errors import InputError

_WEIGHTS = "model.safetensors"
_INDEX = "model.safetensors.index.json"
_ADAPTER_WEIGHTS = "adapter_model.safetensors", "adapter_model.bin"
_POINTER = b"version https://git-lfs"
# Tables that older versions of transformers saved with the weights; all versions compute them.
_TABLES = re.compile(
    r"(^|\.)(rotary_emb\.inv_freq|(attn|attention)\.(bias|masked_bias|causal_mask)|position_ids)$"
)


def weight_files(folder: Path) -> list[Path]:
    """The files that transformers takes the weights from: one, or the shards of an index.

    Args:
        folder: A model's folder, which has been loaded.
    """
    if (folder / _WEIGHTS).exists():
        return [folder / _WEIGHTS]
    names = json.loads((folder / _INDEX).read_text())["weight_map"].values()
    return [folder / name for name in sorted(set(names))]


def without_tables(names: Iterable[str]) -> list[str]:
    """Names of stored tensors, sorted, but for tables that are computed and not learned."""
    return sorted(name for name in names if not _TABLES.search(name))


def refuse_adapter(source: str, revision: str | None) -> None:
    """Refuse a model with an adapter beside it, which transformers alone would leave out.

    Args:
        source: A folder, or a hub id.
        revision: Commit on the hub.

    Raises:
        InputError: There is an adapter.
    """
    weights = (path for name in _ADAPTER_WEIGHTS if (path := Path(source, name)).exists())
    found = next(weights, None) or find_adapter_config_file(source, revision=revision)
    if found is not None:
        raise InputError(
            f"model {source}",
            got=f"an adapter, {Path(found).name}",
            expected="a whole model: an adapter's weights are not added to the model's",
            fix="merge and save it (peft: PeftModel.from_pretrained(model, folder)"
            ".merge_and_unload().save_pretrained(new)) and give the new folder",
        )


def refuse_pointers(folder: Path) -> None:
    """Refuse files of Git LFS that were never fetched: a line of text in a file's place.

    Raises:
        InputError: Names the file.
    """
    for path in sorted(path for path in folder.iterdir() if path.is_file()):
        with path.open("rb") as file:
            is_pointer = file.read(len(_POINTER)) == _POINTER
        if is_pointer:
            raise InputError(
                f"file {path}",
                got="a pointer of Git LFS, which stands for a file that was not fetched",
                expected="the file itself",
                fix="run git lfs pull in the folder, or download it with: hf download",
            )
