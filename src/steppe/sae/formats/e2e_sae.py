"""Apollo's e2e_sae: ``final_config.yaml`` and one ``.pt`` that holds the SAEs of all positions.

The decoder's columns are normalised to length 1 whenever it is used, so they are on reading. The
model was TransformerLens' with its defaults: centred residuals.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import yaml
from torch import Tensor

from steppe.sae.config import SaeConfig
from steppe.sae.formats.files import read_pt, refusal, tensor_of
from steppe.sae.formats.found import Found, transposed, widths

SETTINGS = "final_config.yaml"
_NAMES = {
    "W_enc": "encoder.0.weight",
    "b_enc": "encoder.0.bias",
    "W_dec": "decoder.weight",
    "b_dec": "decoder.bias",
}


def is_one(place: Path) -> bool:
    """Whether it is a run's folder, or the name of a position in one."""
    return _folder(place) is not None


def read(place: Path) -> Found:
    """Read a run's newest file: the SAE of its only position, or of that which follows a slash.

    Raises:
        InputError: There is no file, or no such position, or several of which none is named.
    """
    folder = _folder(place)
    assert folder is not None
    path = _newest(folder)
    content = read_pt(path)
    known = sorted({name.partition(".")[0].replace("-", ".") for name in content if "." in name})
    asked = known if place == folder and len(known) == 1 else [n for n in known if n == place.name]
    if len(asked) != 1:
        got = "no position named" if place == folder else f"position {place.name!r}"
        fix = f"for instance {folder}/{known[0]}" if known else "fetch the run again"
        raise refusal(path, got, f"one of {', '.join(known)}", fix)
    prefix = asked[0].replace(".", "-")
    tensors = {
        ours: tensor_of(content, f"{prefix}.{name}", path).float() for ours, name in _NAMES.items()
    }
    tensors |= {name: transposed(tensors[name]) for name in ("W_enc", "W_dec")}
    d_in, d_sae = widths(tensors["W_enc"], path)
    tensors["W_dec"] = _unit(tensors["W_dec"])
    config = SaeConfig(
        architecture="standard",
        d_in=d_in,
        d_sae=d_sae,
        hook_name=asked[0],
        apply_b_dec_to_input=False,
        coordinates="centered",
        model_name=_model(folder / SETTINGS),
        objective=_objective(folder / SETTINGS),
    )
    return Found(config, tensors, path)


def _folder(place: Path) -> Path | None:
    return next((p for p in (place, place.parent) if (p / SETTINGS).is_file()), None)


def _newest(folder: Path) -> Path:
    """The file with the highest number after its last underscore."""
    numbers = {
        path: int(match[1])
        for path in folder.glob("*.pt")
        if (match := re.search(r"_(\d+)$", path.stem))
    }
    files = sorted(folder.glob("*.pt"), key=lambda path: (numbers.get(path, -1), path.name))
    if files:
        return files[-1]
    raise refusal(folder, "no file *.pt", f"the run's SAEs beside {SETTINGS}")


def _settings(path: Path) -> dict[str, Any]:
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, yaml.YAMLError, ValueError, RecursionError) as error:
        raise refusal(path, f"not YAML ({' '.join(str(error).split())})", "a mapping") from None
    return content if isinstance(content, dict) else {}


def _model(path: Path) -> str | None:
    name = _settings(path).get("tlens_model_name")
    return name if isinstance(name, str) else None


def _objective(path: Path) -> str | None:
    """What the run's losses say that its SAEs were trained to match."""
    loss = _settings(path).get("loss")
    if not isinstance(loss, dict):
        return None
    if not (loss.get("logits_kl") or {}).get("coeff"):
        return "local"
    return "e2e_ds" if (loss.get("in_to_orig") or {}).get("total_coeff") else "e2e"


def _unit(rows: Tensor) -> Tensor:
    return rows / rows.norm(dim=-1, keepdim=True).clamp_min(1e-12) if rows.ndim == 2 else rows
