"""Which SAEs can be asked for by a short name, and where on the hub they lie.

The table is ``releases.csv``: one line a release (or a part of one with its own folder names).
Where sae_lens is installed, its own list serves as well; families are known by the names of their
repositories.
"""

from __future__ import annotations

import csv
import difflib
import importlib.util
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

import yaml

from steppe.core.errors import InputError

# Owners of repositories that are known by their own names.
_OWNERS = {
    r"gemma-scope-(2-)?\d+(\.\d+)?m?b?-(pt|it).*": "google",
    r"SAE-Res-Qwen.*": "Qwen",
    r"Llama3_1-8B-Base-LX.*": "fnlp",
    r"Llama-Scope.*": "fnlp",
    r"Llama-3\.\d-\d+B-Instruct-SAE-l\d+": "Goodfire",
    r"DeepSeek-R1-Distill-Llama-8B-SAE-l\d+": "qresearch",
    r"saebench_.*": "canrager",
}
# Of other places than the residual stream, or no reconstruction of them, by their names.
_ELSEWHERE = re.compile(
    r"transcoder|/clt|hook_z|(attn|mlp)[_-]out|-(mlp|att)/|-LX(A|M|TC)-|hook_embed"
)
# How sae_lens calls the readers of what steppe reads.
_READ = {
    None,
    "sae_lens",
    "gemma_2",
    "gemma_3",
    "llama_scope",
    "llama_scope_r1_distill",
    "dictionary_learning_1",
    "deepseek_r1",
    "goodfire",
    "qwen_scope",
    "sparsify",
}


@dataclass(frozen=True)
class Published:
    """What is stated of an SAE beside its files.

    Attributes:
        l0: Mean number of active latents.
        scale: Factor by which activations were multiplied in training.
        model: The model it was trained on.
        neuronpedia: Where Neuronpedia shows its latents, ``model/source``.
    """

    l0: float | None = None
    scale: float | None = None
    model: str | None = None
    neuronpedia: str | None = None


@dataclass(frozen=True)
class Release:
    """A published set of SAEs.

    Attributes:
        name: Its short name, as SAELens uses it.
        repo_id: Its hub repository.
        folders: The repository's folder of every SAE, by SAE id.
        refused: Why steppe does not read it; empty when it does.
        published: What is stated of an SAE beside its files, by SAE id.
    """

    name: str
    repo_id: str
    folders: dict[str, str]
    refused: str
    published: dict[str, Published] = field(default_factory=dict)


@cache
def releases() -> dict[str, Release]:
    """All releases of the table, by short name."""
    known: dict[str, Release] = {}
    text = files("steppe.sae").joinpath("releases.csv").read_text(encoding="utf-8")
    for row in csv.DictReader(text.splitlines()):
        release = known.setdefault(
            row["release"], Release(row["release"], row["repo_id"], {}, row["refused"])
        )
        for n in _numbers(row["numbers"]):
            sae_id = row["sae_id"].format(n=n)
            release.folders[sae_id] = row["folder"].format(n=n)
            shown = row["neuronpedia"].format(n=n, next=n + 1)
            release.published[sae_id] = Published(neuronpedia=shown or None)
    return known


@cache
def sae_lens_releases() -> dict[str, Release]:
    """The releases that the installed sae_lens lists, by short name; none without it."""
    spec = importlib.util.find_spec("sae_lens")
    places = list(spec.submodule_search_locations or []) if spec else []
    path = Path(places[0]) / "pretrained_saes.yaml" if places else None
    if path is None or not path.is_file():
        return {}
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    content: dict[str, Any] = yaml.load(path.read_text(encoding="utf-8"), Loader=loader)
    return {name: _listed(name, one) for name, one in content.items()}


def owner_of(name: str) -> str | None:
    """The hub's owner of a repository that is known by its own name."""
    return next((own for pattern, own in _OWNERS.items() if re.fullmatch(pattern, name)), None)


def every_sae() -> dict[str, str]:
    """Every SAE of the residual stream that has a short name, with its repository and folder."""
    known = {**sae_lens_releases(), **releases()}
    addresses = {
        f"{release.name}/{sae_id}": f"{release.repo_id}/{folder}"
        for release in known.values()
        if not release.refused
        for sae_id, folder in release.folders.items()
    }
    return {
        name: address
        for name, address in addresses.items()
        if not _ELSEWHERE.search(name) and not _ELSEWHERE.search(address)
    }


def find_folder(release: Release, sae_id: str | None) -> str:
    """Return the repository folder of one SAE of a release.

    Args:
        release: The release.
        sae_id: Which of its SAEs, for instance ``blocks.1.hook_resid_pre``.

    Raises:
        InputError: steppe does not read the release, or it has no such SAE.
    """
    if release.refused:
        raise InputError(
            f"SAE release {release.name}",
            got=release.refused,
            expected="a release that steppe reads",
            fix="choose another release: steppe list saes",
        )
    if sae_id in release.folders:
        return release.folders[sae_id]
    known = list(release.folders)
    near = difflib.get_close_matches(sae_id or "", known, n=1)
    raise InputError(
        f"SAE release {release.name}",
        got=f"sae_id {sae_id!r}",
        expected=f"one of {', '.join(known[:12])}{' ...' if len(known) > 12 else ''}",
        fix=f"load_sae({release.name!r}, sae_id={near[0] if near else known[0]!r})",
    )


def near_releases(name: str) -> list[str]:
    """Names of releases that look like ``name``."""
    return difflib.get_close_matches(name, [*releases(), *sae_lens_releases()], n=3)


def _listed(name: str, entry: Mapping[str, Any]) -> Release:
    """A release as sae_lens lists it."""
    reader = entry.get("conversion_func")
    refused = "" if reader in _READ else f"its format, {reader}, is none that steppe reads"
    overrides = entry.get("config_overrides") or {}
    model = overrides.get("model_name") or entry.get("model")
    return Release(
        name,
        entry["repo_id"],
        {sae["id"]: sae["path"] for sae in entry["saes"]},
        refused,
        {
            sae["id"]: Published(
                sae.get("l0"), sae.get("norm_scaling_factor"), model, sae.get("neuronpedia")
            )
            for sae in entry["saes"]
        },
    )


def _numbers(text: str) -> list[int]:
    """Read ``0-11`` or ``2 6 10``."""
    first, dash, last = text.partition("-")
    if dash:
        return list(range(int(first), int(last) + 1))
    return [int(number) for number in text.split()]
