"""How does one SAE's folder come from the Hugging Face hub to this machine?

Only the three files that steppe reads are fetched. ``HF_ENDPOINT``, ``HF_HUB_OFFLINE`` and the
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
from steppe.sae.weights import SPARSITY_FILE, WEIGHTS_FILE


def fetch(repo_id: str, folder: str, revision: str | None = None) -> Path:
    """Fetch one SAE's files, or find them in the cache.

    Args:
        repo_id: The hub repository, ``owner/name``.
        folder: The SAE's folder in it; empty for the repository's root.
        revision: Branch, tag or commit; the main branch when None.

    Returns:
        The local folder; it lies in the cache, below a folder named after the commit.

    Raises:
        InputError: Repository, revision or folder do not exist, or the hub cannot be reached.
    """
    prefix = f"{folder}/" if folder else ""
    place = f"{repo_id}{f'@{revision}' if revision else ''}, folder {folder or '.'}"
    try:
        path = Path(hf_hub_download(repo_id, f"{prefix}{CFG_FILE}", revision=revision))
        # The commit that held cfg.json holds the rest, whatever is pushed meanwhile.
        commit = commit_of(path)
        hf_hub_download(repo_id, f"{prefix}{WEIGHTS_FILE}", revision=commit)
        _fetch_rates(repo_id, f"{prefix}{SPARSITY_FILE}", commit)
    except (EntryNotFoundError, HfHubHTTPError, HFValidationError, OSError) as error:
        raise InputError(
            place,
            got=_reason(error),
            expected=f"a folder on the hub with {CFG_FILE} and {WEIGHTS_FILE}",
            fix="check the names, HF_ENDPOINT, HF_HUB_OFFLINE and the network; or give a folder",
        ) from error
    return path.parent


def commit_of(path: Path) -> str | None:
    """The commit that a file of the hub's cache belongs to."""
    parts = path.parts
    return parts[parts.index("snapshots") + 1] if "snapshots" in parts else None


def _fetch_rates(repo_id: str, name: str, commit: str | None) -> None:
    """Fetch the sparsity file, which many releases do not have."""
    try:
        hf_hub_download(repo_id, name, revision=commit)
    except RemoteEntryNotFoundError:
        return
    except LocalEntryNotFoundError:
        # Offline: what is not in the cache is not there.
        if not _is_offline():
            raise


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
