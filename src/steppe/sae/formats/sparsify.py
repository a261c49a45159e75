"""EleutherAI's sparsify: ``cfg.json`` and ``sae.safetensors`` in a folder named after the hook.

Its ``W_dec`` has one row a latent already. The decoder bias is taken off the input; the largest k
of the ReLU's outputs stay, or, of ``groupmax``, the largest in each of k groups.
"""

from __future__ import annotations

import re
import reprlib
from pathlib import Path

from torch import Tensor

from steppe.sae.config import ArchitectureName, SaeConfig
from steppe.sae.formats.files import read_json, refusal
from steppe.sae.formats.found import (
    Found,
    count,
    not_residual,
    refuse_unread,
    residual_post,
    transposed,
)
from steppe.sae.weights import read_tensors

SETTINGS, WEIGHTS, PARENT = "cfg.json", "sae.safetensors", "config.json"
_ARCHITECTURES: dict[str, ArchitectureName] = {"topk": "topk", "groupmax": "groupmax"}
_NAMES = {"W_enc": "encoder.weight", "b_enc": "encoder.bias", "W_dec": "W_dec", "b_dec": "b_dec"}


def is_one(place: Path) -> bool:
    """Whether it is one hook's folder."""
    return (place / WEIGHTS).is_file()


def read(place: Path) -> Found:
    """Read one hook's folder, for instance ``layers.3``.

    Raises:
        InputError: It holds a transcoder, or an SAE of another place than after a block.
    """
    config_path, path = place / SETTINGS, place / WEIGHTS
    settings = read_json(config_path)
    for key in ("transcode", "skip_connection"):
        if settings.get(key):
            raise not_residual(config_path, f"{key} true", "it does not reconstruct its input")
    activation = settings.get("activation", "topk")
    known = isinstance(activation, str) and activation in _ARCHITECTURES
    if not known or settings.get("signed"):
        got = f"activation {reprlib.repr(activation)}" if not known else "signed true"
        raise refusal(config_path, got, " or ".join(_ARCHITECTURES), "choose another SAE")
    d_in = count(settings, "d_in", config_path)
    if settings.get("num_latents"):
        d_sae = count(settings, "num_latents", config_path)
    else:
        d_sae = d_in * count(settings, "expansion_factor", config_path)
    hook = re.fullmatch(r"(?:model\.)?(?:layers|h)[._](\d+)", place.absolute().name)
    if hook is None:
        raise not_residual(path, f"hook {place.absolute().name!r}", "only layers.N and h.N are")
    config = SaeConfig(
        architecture=_ARCHITECTURES[activation],
        d_in=d_in,
        d_sae=d_sae,
        hook_name=residual_post(hook[1]),
        k=count(settings, "k", config_path),
        coordinates="raw",
        model_name=_model(place.absolute().parent / PARENT),
    )
    return Found(config, _tensors(path), path)


def _tensors(path: Path) -> dict[str, Tensor]:
    raw = read_tensors(path)
    lacking = [name for name in _NAMES.values() if name not in raw]
    if lacking:
        raise refusal(path, f"no tensor {lacking[0]!r}", f"tensors {', '.join(_NAMES.values())}")
    refuse_unread(raw, _NAMES.values(), path)
    found = {ours: raw[theirs] for ours, theirs in _NAMES.items()}
    return {**found, "W_enc": transposed(found["W_enc"])}


def _model(path: Path) -> str | None:
    name = read_json(path).get("model") if path.is_file() else None
    return name if isinstance(name, str) else None
