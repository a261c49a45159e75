"""Which reader an SAE's folder or file is given to, by what it holds."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from steppe.sae.config import CFG_FILE
from steppe.sae.formats import (
    dictionary_learning,
    e2e_sae,
    gemma_scope,
    goodfire,
    llama_scope,
    openai,
    qwen_scope,
    sparsify,
)
from steppe.sae.formats.files import read_pt, refusal
from steppe.sae.formats.found import Found
from steppe.sae.formats.refused import refuse_known

# The only files that are looked into without being asked for by name.
PICKLED = (".pt", ".pth")


@dataclass(frozen=True)
class Format:
    """One way in which SAEs are published.

    Attributes:
        name: What it is called.
        files: What a folder of it holds, in words.
        is_one: Whether a folder or file is of it.
        read: Reads it.
    """

    name: str
    files: str
    is_one: Callable[[Path], bool]
    read: Callable[[Path], Found]


FORMATS = (
    Format("sparsify", "cfg.json, sae.safetensors", sparsify.is_one, sparsify.read),
    Format(
        "Gemma Scope 2",
        "config.json, params.safetensors",
        gemma_scope.is_second,
        gemma_scope.read_second,
    ),
    Format("Gemma Scope", "params.npz", gemma_scope.is_first, gemma_scope.read_first),
    Format(
        "Llama Scope",
        "hyperparams.json, checkpoints/final.safetensors",
        llama_scope.is_first,
        llama_scope.read_first,
    ),
    Format(
        "Llama Scope R1-Distill, llamascopium",
        "config.json, sae_weights.safetensors",
        llama_scope.is_second,
        llama_scope.read_second,
    ),
    Format(
        "dictionary_learning",
        "config.json, ae.pt",
        dictionary_learning.is_one,
        dictionary_learning.read,
    ),
    Format("Qwen-Scope", "layerN.sae.pt", qwen_scope.is_one, qwen_scope.read),
    Format("e2e_sae", "final_config.yaml, *.pt", e2e_sae.is_one, e2e_sae.read),
)


def is_published(place: Path) -> bool:
    """Whether a place is to be read in one of these formats, and not as SAELens' folder.

    Raises:
        InputError: It holds something that is known, and no SAE of the residual stream.
    """
    if (place / CFG_FILE).is_file() and not sparsify.is_one(place):
        return False
    refuse_known(place)
    return place.is_file() or any(known.is_one(place) for known in FORMATS)


def read_published(place: Path) -> Found:
    """Read an SAE in one of the public formats.

    Args:
        place: A folder, a file, or the name of a position in a folder of e2e_sae.

    Raises:
        InputError: It holds something that steppe cannot use, or that is not what it should be.
    """
    known = next((known for known in FORMATS if known.is_one(place)), None)
    return _read_single(place) if known is None else known.read(place)


def _read_single(place: Path) -> Found:
    """A file whose name says nothing: OpenAI's or Goodfire's, by what it holds."""
    if place.suffix in PICKLED:
        content = read_pt(place)
        if openai.is_one(content):
            return openai.read(place, content)
        if goodfire.is_one(content):
            return goodfire.read(place, content)
        got = f"the keys {', '.join(sorted(map(str, content))[:8])}"
    else:
        got = f"a file {place.suffix or 'without ending'}"
    known = "; ".join(f"{known.name} ({known.files})" for known in FORMATS)
    raise refusal(
        place,
        got,
        f"an SAE file of OpenAI, Goodfire or Qwen-Scope, or a folder of SAELens (cfg.json, "
        f"sae_weights.safetensors); {known}",
        "give the SAE's folder, with the names it was published under",
    )
