"""An SAE of any public format, written as SAELens saves one."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from safetensors.torch import save_file

from steppe.core.errors import InputError
from steppe.sae.config import CFG_FILE
from steppe.sae.loading import load_sae
from steppe.sae.model import Sae
from steppe.sae.weights import SPARSITY_FILE, WEIGHTS_FILE

# The version whose layout is written.
_LAYOUT = "6.0.0"


def convert(source: str | Path, target: str | Path) -> Sae:
    """Write an SAE as a folder that SAELens and steppe read.

    Args:
        source: The SAE, as `load_sae` takes it.
        target: The folder to be made; it must not be there, or be empty.

    Returns:
        The SAE.

    Raises:
        InputError: The SAE cannot be read, SAELens has no such architecture, or there is something
            in the folder.
    """
    sae, folder = load_sae(source), Path(target).expanduser()
    if sae.config.architecture == "groupmax":
        raise InputError(
            f"SAE {source}",
            got="architecture 'groupmax'",
            expected="an architecture that SAELens has",
            fix="use the SAE where it lies: steppe reads it",
        )
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise InputError(
            f"folder {folder}",
            got="something there already",
            expected="a new or an empty folder",
            fix="choose another folder",
        )
    folder.mkdir(parents=True, exist_ok=True)
    weights = {name: w.contiguous() for name, w in sae.weights.items()}
    save_file(weights, folder / WEIGHTS_FILE)
    if sae.log10_rates is not None:
        save_file({"sparsity": sae.log10_rates.contiguous()}, folder / SPARSITY_FILE)
    (folder / CFG_FILE).write_text(json.dumps(settings_of(sae), indent=2) + "\n")
    return sae


def settings_of(sae: Sae) -> dict[str, Any]:
    """The content of cfg.json, in the layout of SAELens 6."""
    config = sae.config
    metadata = {
        "sae_lens_version": _LAYOUT,
        "model_name": config.model_name,
        "hook_name": config.hook_name,
        "prepend_bos": config.prepend_bos,
        "objective": config.objective,
        "coordinates": config.coordinates,
        "model_from_pretrained_kwargs": None
        if config.coordinates is None
        else {"center_writing_weights": config.coordinates == "centered"},
        "l0": config.stated_l0,
        "converted_from": sae.identity.source,
    }
    top_k = {
        "k": config.k,
        "rescale_acts_by_decoder_norm": config.rescale_acts_by_decoder_norm,
    }
    return {
        "architecture": config.architecture,
        "d_in": config.d_in,
        "d_sae": config.d_sae,
        "dtype": str(sae.dtype).removeprefix("torch."),
        "device": "cpu",
        "apply_b_dec_to_input": config.apply_b_dec_to_input,
        "normalize_activations": config.normalize_activations,
        "reshape_activations": "none",
        **(top_k if config.k is not None else {}),
        "metadata": {key: value for key, value in metadata.items() if value is not None},
    }


def said_of(sae: Sae) -> str:
    """One line about an SAE."""
    torch_type = str(sae.dtype).removeprefix("torch.")
    return (
        f"{sae.config.architecture}, {sae.d_in} -> {sae.d_sae}, {torch_type}, "
        f"{sae.hook_name or 'no hook named'}, model {sae.config.model_name or 'not named'}"
    )
