"""An SAE as it is asked for: by a folder, a release's short name, or a hub repository."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import torch

from steppe.core.bundled import DEMO, demo_sae, demo_saes
from steppe.core.errors import InputError
from steppe.core.number_formats import check_dtype
from steppe.sae.belonging import Host, check_fits
from steppe.sae.config import CFG_FILE, SaeConfig, read_config
from steppe.sae.hub import commit_of, fetch
from steppe.sae.model import Sae, SaeIdentity
from steppe.sae.releases import find_folder, near_releases, releases
from steppe.sae.weights import (
    SPARSITY_FILE,
    WEIGHTS_FILE,
    check_weights,
    fold_norm_scaling,
    read_log10_rates,
    read_tensors,
    sha256_of,
)

DEMO_SAE_ID = "blocks.1.hook_resid_pre"


@dataclass(frozen=True)
class _Located:
    """A folder on this machine, and the names it was asked for by."""

    folder: Path
    identity: SaeIdentity


def load_sae(
    path_or_release: str | Path,
    *,
    sae_id: str | None = None,
    device: str | torch.device = "cpu",
    dtype: str = "float32",
    subject: Host | None = None,
) -> Sae:
    """Load an SAE in SAELens' format.

    Args:
        path_or_release: A folder that holds (or, with ``sae_id``, whose sub-folder holds)
            ``cfg.json`` and ``sae_weights.safetensors``; ``"demo"`` for the bundled SAEs; a short
            name such as ``"gpt2-small-res-jb"``; or a hub repository ``"owner/name"``. The SAE id
            may follow after a slash, and a hub revision after an ``@``:
            ``"gpt2-small-res-jb/blocks.1.hook_resid_pre"``, ``"owner/name@v2/folder"``.
        sae_id: Which SAE of the release, repository or folder.
        device: Where to put the weights.
        dtype: Floating-point type of the weights: float32, float64, bfloat16 or float16.
        subject: The model it is to be used with; an SAE that does not fit it is refused.

    Returns:
        The SAE.

    Raises:
        InputError: There is no such SAE, steppe cannot read it rightly, or it does not fit.
    """
    located = _locate(path_or_release, sae_id)
    sae = read_sae(located.folder, device=device, dtype=dtype)
    identity = replace(located.identity, sha256=sae.identity.sha256)
    sae = replace(sae, identity=identity)
    if subject is not None:
        check_fits(sae, subject)
    return sae


def find_config(path_or_release: str | Path) -> SaeConfig:
    """Read what an SAE's configuration says, and none of its weights.

    Args:
        path_or_release: As `load_sae` takes it.

    Raises:
        InputError: There is no such SAE, or one that steppe cannot read.
    """
    return read_config(_locate(path_or_release, None).folder / CFG_FILE)


def read_sae(
    folder: str | Path,
    *,
    device: str | torch.device = "cpu",
    dtype: str = "float32",
    norm_scaling_factor: float | None = None,
) -> Sae:
    """Read one folder as SAELens saves it.

    Args:
        folder: Holds ``cfg.json``, ``sae_weights.safetensors`` and perhaps
            ``sparsity.safetensors``.
        device: Where to put the weights.
        dtype: Floating-point type of the weights.
        norm_scaling_factor: For ``normalize_activations: expected_average_only_in`` only: the
            factor by which activations were multiplied in training.

    Raises:
        InputError: The folder does not hold an SAE that steppe can compute rightly.
    """
    folder = Path(folder)
    config = read_config(folder / CFG_FILE)
    path = folder / WEIGHTS_FILE
    weights = check_weights(read_tensors(path), config, path)
    weights, config = fold_norm_scaling(weights, config, norm_scaling_factor, path)
    number_format = getattr(torch, check_dtype(dtype))
    return Sae(
        config=config,
        weights={name: w.to(device=device, dtype=number_format) for name, w in weights.items()},
        identity=SaeIdentity(source=str(folder), sha256=sha256_of(path)),
        log10_rates=read_log10_rates(folder / SPARSITY_FILE, config.d_sae),
    )


def _locate(path_or_release: str | Path, sae_id: str | None) -> _Located:
    if isinstance(path_or_release, Path):
        return _local(path_or_release, sae_id)
    name, _, rest = path_or_release.partition("/")
    release, _, revision = name.partition("@")
    if release == DEMO:
        return _demo(sae_id or rest or DEMO_SAE_ID)
    if release in releases():
        return _released(release, sae_id or rest or None, revision or None)
    if Path(path_or_release).expanduser().exists():
        return _local(Path(path_or_release), sae_id)
    if not rest or name in ("", ".", "..", "~"):
        raise _unknown(path_or_release)
    return _on_the_hub(path_or_release, sae_id)


def _local(path: Path, sae_id: str | None) -> _Located:
    folder = path.expanduser() / (sae_id or "")
    if not folder.is_dir():
        raise _unknown(str(folder))
    return _Located(folder, SaeIdentity(source=str(folder), sha256="", sae_id=sae_id))


def _demo(sae_id: str) -> _Located:
    known = demo_saes()
    if f"{DEMO}/{sae_id}" not in known:
        raise InputError(
            f"bundled SAE {sae_id}",
            got="no such SAE",
            expected=" or ".join(known),
            fix=f"load_sae('demo', sae_id={DEMO_SAE_ID!r})",
        )
    return _Located(
        demo_sae(sae_id), SaeIdentity(source=DEMO, sha256="", release=DEMO, sae_id=sae_id)
    )


def _released(name: str, sae_id: str | None, revision: str | None) -> _Located:
    release = releases()[name]
    folder = fetch(release.repo_id, find_folder(release, sae_id), revision)
    commit = commit_of(folder)
    return _Located(folder, SaeIdentity(release.repo_id, "", name, sae_id, commit))


def _on_the_hub(address: str, sae_id: str | None) -> _Located:
    owner, repository, *folders = address.strip("/").split("/")
    repository, _, revision = repository.partition("@")
    repo_id = f"{owner}/{repository}"
    inside = "/".join([*folders, *([sae_id] if sae_id else [])])
    folder = fetch(repo_id, inside, revision or None)
    return _Located(folder, SaeIdentity(repo_id, "", None, inside or None, commit_of(folder)))


def _unknown(name: str) -> InputError:
    near = near_releases(name)
    return InputError(
        f"SAE {name}",
        got="no such folder, and no release of that name",
        expected="a folder with cfg.json, a release's short name, or owner/name on the hub",
        fix=f"perhaps {' or '.join(near)}" if near else "give the folder, or see: steppe list",
    )
