"""Formats that are known, and hold what steppe cannot use: refused by name."""

from __future__ import annotations

from pathlib import Path

from steppe.core.errors import InputError
from steppe.sae.formats.files import read_json
from steppe.sae.formats.found import in_name, not_residual


def refuse_known(place: Path) -> None:
    """Refuse what is recognised as no SAE of the residual stream.

    Raises:
        InputError: It is.
    """
    found = _temporal(place) or _transcoder(place) or _hook_z(place)
    if found is not None:
        raise found


def _temporal(place: Path) -> InputError | None:
    if (place / "conf.yaml").is_file() and (place / "latest_ckpt.safetensors").is_file():
        return not_residual(place, "a temporal SAE", "it needs the whole sequence")
    return None


def _transcoder(place: Path) -> InputError | None:
    name = in_name(r"transcoder|(?<![a-z])clt(?![a-z])", place)
    files = place.is_dir() and (
        any(place.glob("layer_*.safetensors")) or any(place.glob("W_enc_*.safetensors"))
    )
    if name or files:
        what = "a cross-layer transcoder" if name and name[0] == "clt" else "a transcoder"
        return not_residual(place, what, "it does not reconstruct its input")
    return None


def _hook_z(place: Path) -> InputError | None:
    settings = place.parent / f"{place.stem}_cfg.json"
    if place.suffix != ".pt" or not settings.is_file():
        return None
    point = read_json(settings).get("act_name")
    return not_residual(place, f"act_name {point!r}", "the SAE reads attention heads")
