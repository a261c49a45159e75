"""An SAE as it is asked for: by a folder, a release's short name, or a hub repository."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path

import torch

from steppe.core.bundled import DEMO, DEMO_SAE_ID, demo_sae, demo_saes
from steppe.core.errors import InputError
from steppe.core.hashing import file_sha256
from steppe.core.number_formats import check_dtype
from steppe.sae.belonging import Host, check_fits
from steppe.sae.config import CFG_FILE, SaeConfig, read_config
from steppe.sae.formats import e2e_sae
from steppe.sae.formats.catalogue import is_published, read_published
from steppe.sae.formats.found import Found, check_k
from steppe.sae.hub import commit_of, fetch
from steppe.sae.model import Sae, SaeIdentity
from steppe.sae.releases import (
    Published,
    Release,
    find_folder,
    near_releases,
    owner_of,
    releases,
    sae_lens_releases,
)
from steppe.sae.weights import (
    SPARSITY_FILE,
    WEIGHTS_FILE,
    check_weights,
    fold_norm_scaling,
    read_log10_rates,
    read_tensors,
)


@dataclass(frozen=True)
class _Located:
    """A folder on this machine, and the names it was asked for by."""

    folder: Path
    identity: SaeIdentity
    published: Published = field(default_factory=Published)


def load_sae(
    path_or_release: str | Path,
    *,
    sae_id: str | None = None,
    device: str | torch.device = "cpu",
    dtype: str = "float32",
    model: Host | None = None,
) -> Sae:
    """Load an SAE, in SAELens' format or another public one (docs/saes.md).

    Args:
        path_or_release: A folder that holds (or, with ``sae_id``, whose sub-folder holds) an SAE,
            or its only file; ``"demo"`` for the bundled SAEs; a short
            name such as ``"gpt2-small-res-jb"``; or a hub repository ``"owner/name"``. The SAE id
            may follow after a slash, and a hub revision after an ``@``:
            ``"gpt2-small-res-jb/blocks.1.hook_resid_pre"``, ``"owner/name@v2/folder"``.
        sae_id: Which SAE of the release, repository or folder.
        device: Where to put the weights.
        dtype: Floating-point type of the weights: float32, float64, bfloat16 or float16.
        model: The model it is to be used with; an SAE that does not fit it is refused.

    Returns:
        The SAE.

    Raises:
        InputError: There is no such SAE, steppe cannot read it rightly, or it does not fit.
    """
    located = _locate(path_or_release, sae_id)
    sae = read_sae(
        located.folder, device=device, dtype=dtype, norm_scaling_factor=located.published.scale
    )
    config = replace(
        sae.config,
        stated_l0=located.published.l0 or sae.config.stated_l0,
        model_name=sae.config.model_name or located.published.model,
        neuronpedia_id=sae.config.neuronpedia_id or located.published.neuronpedia,
    )
    identity = replace(located.identity, sha256=sae.identity.sha256)
    sae = replace(sae, config=config, identity=identity)
    if model is not None:
        check_fits(sae, model)
    return sae


def find_config(path_or_release: str | Path) -> SaeConfig | None:
    """Read what an SAE's configuration says, and none of its weights.

    Args:
        path_or_release: As `load_sae` takes it.

    Returns:
        The configuration; None where the format is another than SAELens', in most of which it is
        known only with the weights.

    Raises:
        InputError: There is no such SAE, or one that steppe cannot read.
    """
    folder = _locate(path_or_release, None).folder
    return None if is_published(folder) else read_config(folder / CFG_FILE)


def read_sae(
    folder: str | Path,
    *,
    device: str | torch.device = "cpu",
    dtype: str = "float32",
    norm_scaling_factor: float | None = None,
) -> Sae:
    """Read one folder or file of a public format.

    Args:
        folder: As SAELens saves it, ``cfg.json``, ``sae_weights.safetensors`` and perhaps
            ``sparsity.safetensors``; or in another format (docs/saes.md).
        device: Where to put the weights.
        dtype: Floating-point type of the weights.
        norm_scaling_factor: For ``normalize_activations: expected_average_only_in`` only: the
            factor by which activations were multiplied in training.

    Raises:
        InputError: The folder does not hold an SAE that steppe can compute rightly.
    """
    folder = Path(folder)
    found = _found(folder)
    config, path = found.config, found.path
    check_k(config, path)
    weights = check_weights(found.tensors, config, path)
    scale = found.scale or norm_scaling_factor
    weights, config = fold_norm_scaling(weights, config, scale, path)
    number_format = getattr(torch, check_dtype(dtype))
    return Sae(
        config=config,
        weights={name: w.to(device=device, dtype=number_format) for name, w in weights.items()},
        identity=SaeIdentity(source=str(folder), sha256=file_sha256(path)),
        log10_rates=read_log10_rates(folder / SPARSITY_FILE, config.d_sae),
    )


def _found(place: Path) -> Found:
    if is_published(place):
        return read_published(place)
    config, path = read_config(place / CFG_FILE), place / WEIGHTS_FILE
    return Found(config, read_tensors(path), path)


def _locate(path_or_release: str | Path, sae_id: str | None) -> _Located:
    if isinstance(path_or_release, Path):
        return _local(path_or_release, sae_id)
    name, _, rest = path_or_release.partition("/")
    release, _, revision = name.partition("@")
    if release == DEMO:
        return _demo(sae_id or rest or DEMO_SAE_ID)
    if release in releases():
        return _released(release, sae_id or rest or None, revision or None)
    path = Path(path_or_release).expanduser()
    if path.exists() or e2e_sae.is_one(path):
        return _local(path, sae_id)
    if release in sae_lens_releases() or owner_of(release):
        return _of_others(release, sae_id or rest or None, revision or None)
    if not rest or name in ("", ".", "..", "~"):
        raise _unknown(path_or_release)
    return _on_the_hub(path_or_release, sae_id)


def _local(path: Path, sae_id: str | None) -> _Located:
    folder = path.expanduser() / (sae_id or "")
    if not (folder.exists() or e2e_sae.is_one(folder)):
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
    return _of_release(releases()[name], sae_id, revision)


def _of_others(name: str, sae_id: str | None, revision: str | None) -> _Located:
    """A release of sae_lens' table, or a repository of a family by its name alone."""
    release, owner = sae_lens_releases().get(name), owner_of(name)
    if owner and (release is None or sae_id not in release.folders):
        return _on_the_hub(f"{owner}/{name}{f'@{revision}' if revision else ''}", sae_id)
    assert release is not None
    return _of_release(release, sae_id, revision)


def _of_release(release: Release, sae_id: str | None, revision: str | None) -> _Located:
    folder = fetch(release.repo_id, find_folder(release, sae_id), revision)
    identity = SaeIdentity(release.repo_id, "", release.name, sae_id, commit_of(folder))
    return _Located(folder, identity, release.published.get(sae_id or "", Published()))


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
        expected="an SAE's folder or file, a release's short name, or owner/name on the hub",
        fix=f"perhaps {' or '.join(near)}" if near else "give the folder, or see: steppe list saes",
    )
