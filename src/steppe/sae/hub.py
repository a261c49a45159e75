"""One SAE's folder, brought from the Hugging Face hub to this machine.

Only the files that steppe reads are fetched. ``HF_ENDPOINT``, ``HF_HUB_OFFLINE`` and the
cache work as huggingface_hub has them.
"""

from __future__ import annotations

from pathlib import Path

from huggingface_hub import hf_hub_download
from huggingface_hub.errors import (
    EntryNotFoundError,
    HfHubHTTPError,
    HFValidationError,
    LocalEntryNotFoundError,
    RemoteEntryNotFoundError,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)

from steppe.core.errors import InputError
from steppe.sae.config import CFG_FILE
from steppe.sae.formats.catalogue import PICKLED
from steppe.sae.formats.refused import refuse_known
from steppe.sae.weights import SPARSITY_FILE, WEIGHTS_FILE

# What a folder of each format holds: what must be there, the telling file first, and what may be.
_FORMATS: tuple[tuple[tuple[str, ...], tuple[str, ...]], ...] = (
    ((CFG_FILE, WEIGHTS_FILE), (SPARSITY_FILE,)),
    ((CFG_FILE, "sae.safetensors"), ()),
    (("params.npz",), ()),
    (("params.safetensors",), ("config.json",)),
    (("hyperparams.json", "checkpoints/final.safetensors"), ()),
    (("config.json", "ae.pt"), ()),
    (("config.json", WEIGHTS_FILE), ()),
)


def fetch(repo_id: str, folder: str, revision: str | None = None) -> Path:
    """Fetch one SAE's files, or find them in the cache.

    Args:
        repo_id: The hub repository, ``owner/name``.
        folder: The SAE's folder in it; empty for the repository's root.
        revision: Branch, tag or commit; the main branch when None.

    Returns:
        The local folder, or file; it lies in the cache, below a folder named after the commit.

    Raises:
        InputError: Repository, revision or folder do not exist, or the hub cannot be reached.
    """
    refuse_known(Path(repo_id) / folder)
    place = f"{repo_id}{f'@{revision}' if revision else ''}, folder {folder or '.'}"
    try:
        return _fetched(repo_id, folder, revision)
    except (EntryNotFoundError, HfHubHTTPError, HFValidationError, OSError) as error:
        raise InputError(
            place,
            got=_reason(error),
            expected="an SAE's folder on the hub: "
            + ", or ".join(" and ".join(needed) for needed, _ in _FORMATS),
            fix="check the names, HF_ENDPOINT, HF_HUB_OFFLINE and the network; or give a folder",
        ) from error


def commit_of(path: Path) -> str | None:
    """The commit that a file of the hub's cache belongs to."""
    parts = path.parts
    return parts[parts.index("snapshots") + 1] if "snapshots" in parts else None


def _fetched(repo_id: str, folder: str, revision: str | None) -> Path:
    """The first format of which all files are there; the first one's error where none is."""
    prefix, failed = f"{folder}/" if folder else "", None
    if folder.endswith(PICKLED):
        # Some folders are called so, too.
        try:
            return Path(hf_hub_download(repo_id, folder, revision=revision))
        except EntryNotFoundError as error:
            if not _is_absent(error):
                raise
    for needed, further in _FORMATS:
        try:
            path = Path(hf_hub_download(repo_id, f"{prefix}{needed[0]}", revision=revision))
            # The commit that held the first file holds the rest, whatever is pushed meanwhile.
            revision = commit_of(path) or revision
            for name in needed[1:]:
                hf_hub_download(repo_id, f"{prefix}{name}", revision=revision)
        except EntryNotFoundError as error:
            if not _is_absent(error):
                raise
            failed = failed or error
            continue
        for name in further:
            _fetch_if_there(repo_id, f"{prefix}{name}", revision)
        return path.parent
    assert failed is not None
    raise failed


def _fetch_if_there(repo_id: str, name: str, revision: str | None) -> None:
    try:
        hf_hub_download(repo_id, name, revision=revision)
    except EntryNotFoundError as error:
        if not _is_absent(error):
            raise


def _is_absent(error: EntryNotFoundError) -> bool:
    """Whether a file is not there; offline, what is not in the cache is not."""
    return isinstance(error, RemoteEntryNotFoundError) or _is_offline()


def _is_offline() -> bool:
    from huggingface_hub.constants import is_offline_mode

    return is_offline_mode()


def _reason(error: Exception) -> str:
    if isinstance(error, RepositoryNotFoundError):
        return "no such repository, or no right to read it"
    if isinstance(error, RevisionNotFoundError):
        return "no such revision"
    if isinstance(error, RemoteEntryNotFoundError):
        return "no such file in the repository"
    if isinstance(error, LocalEntryNotFoundError):
        return "not in the cache, and the hub cannot be reached"
    return str(error).splitlines()[0]
