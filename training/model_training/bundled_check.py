"""Checks of a bundled folder: sizes, parts that load and belong together, prompts against text."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file
from torch import Tensor

import steppe
from model_training.corpus import END_OF_TEXT_ID, Windows
from model_training.hub_folder import file_sha256, read_json
from model_training.machine import best_device
from model_training.sae_evaluation import fit_of
from model_training.sae_source import FrozenModel, mean_loss
from steppe.core.errors import SteppeError
from steppe.models import Model

LARGEST_FILE = 45_000_000
LARGEST_FOLDER = 60_000_000
"""Bytes."""
COMPARED = 5_000
"""Short windows to compare."""


def faults_of(folder: Path) -> list[str]:
    """Returns what is wrong with a bundled folder, one sentence each."""
    faults = _faults_of_sizes(folder)
    try:
        faults += _faults_of_origin(folder)
        # As a user will read them.
        model = steppe.load_model(folder / "model", device="cpu")
        for config in sorted(folder.glob("saes/*/cfg.json")):
            sae = steppe.load_sae(config.parent, model=model)
            if not all(bool(tensor.isfinite().all()) for tensor in sae.weights.values()):
                faults.append(f"{config.parent} has weights that are not finite")
            if sae.log10_rates is None:
                faults.append(f"{config.parent} has no firing rates")
        faults += _faults_of_prompts(folder / "prompts" / "prompts.safetensors", model)
    except (SteppeError, SafetensorError, OSError, KeyError, ValueError) as fault:
        faults.append(f"a part of {folder} cannot be read: {fault!r}")
    return faults


def _faults_of_sizes(folder: Path) -> list[str]:
    sizes = {file: file.stat().st_size for file in folder.rglob("*") if file.is_file()}
    faults = [f"{file} has {size:,} bytes" for file, size in sizes.items() if size > LARGEST_FILE]
    if sum(sizes.values()) > LARGEST_FOLDER:
        faults.append(f"{folder} has {sum(sizes.values()):,} bytes in all")
    return faults


def _faults_of_origin(folder: Path) -> list[str]:
    faults = []
    model = file_sha256(folder / "model" / "model.safetensors")
    configs = sorted(folder.glob("saes/*/cfg.json"))
    if not configs:
        faults.append(f"{folder} holds no SAE")
    for config in configs:
        if read_json(config)["metadata"]["model_sha256"] != model:
            faults.append(f"{config.parent} was trained on another model; train it again")
    with safe_open(folder / "prompts" / "prompts.safetensors", framework="pt") as file:
        if file.metadata()["model_sha256"] != model:
            faults.append("the prompts were sampled from another model; sample them again")
    return faults


def _faults_of_prompts(path: Path, model: Model) -> list[str]:
    tensors = load_file(path)
    faults = []
    if sorted(name.split("_")[0] for name in tensors) != ["sequences", "windows"]:
        faults.append(f"{path} holds {', '.join(tensors)} instead of windows and sequences")
    for name, tokens in tensors.items():
        if tokens.shape[1] > model.context_length:
            faults.append(f"{name} is longer than the model's {model.context_length} positions")
        if int(tokens.min()) < 0 or int(tokens.max()) >= model.d_vocab:
            faults.append(f"{name} has ids outside of the model's {model.d_vocab} tokens")
    return faults


@torch.no_grad()
def comparison_with_held_out(folder: Path, held_out: NDArray[np.uint16]) -> str:
    """Returns a table of the model's loss and the SAEs' fit on prompts and on held-out text.

    Args:
        folder: the bundled folder.
        held_out: token ids of real text, shape (tokens,).
    """
    device = best_device()
    model = FrozenModel.load(folder / "model", device, torch.float32)
    prompts = load_file(folder / "prompts" / "prompts.safetensors", device=device)
    sequences = next(value for key, value in prompts.items() if key.startswith("sequences"))
    short = next(value for key, value in prompts.items() if key.startswith("windows"))[:COMPARED]
    real_short = _real_windows(held_out, short.shape, 0.0).to(device)
    real_long = _real_windows(held_out, sequences.shape, 1.0).to(device)
    rows = [
        "| measure | on these prompts | on held-out book text |",
        "|---|---|---|",
        f"| model's loss, windows of {sequences.shape[1]}, nats/token "
        f"| {_loss(model, sequences):.3f} | {_loss(model, real_long):.3f} |",
    ]
    for sae in sorted((folder / "saes").iterdir()):
        weights = load_file(sae / "sae_weights.safetensors", device=device)
        single = {name: tensor.float() for name, tensor in weights.items()}
        layer = int(sae.name.split(".")[1])
        cells = []
        for tokens in (short, real_short):
            fit = fit_of(single, [model.before(layer, tokens.long()).flatten(0, 1)])
            cells.append(f"{fit.explained_variance:.3f}, {fit.l0:.1f}")
        rows.append(
            f"| explained variance and L0, windows of {short.shape[1]}, {sae.name} "
            f"| {cells[0]} | {cells[1]} |"
        )
    return "\n".join(rows) + "\n"


def _real_windows(stream: NDArray[np.uint16], shape: torch.Size, bos_share: float) -> Tensor:
    windows = Windows(stream, shape[1], min(shape[0], len(stream) // shape[1] // 4), 0, bos_share)
    return torch.from_numpy(windows.batch(0)[0])


def _loss(model: FrozenModel, tokens: Tensor) -> float:
    losses = []
    for part in torch.split(tokens.long(), 64):
        logits = model.onwards(0, model.embedded(part))[1][:, :-1].clone()
        # Sampling never drew the end-of-text token, so it takes no share here either.
        logits[..., END_OF_TEXT_ID] = float("-inf")
        keep = part[:, 1:] != END_OF_TEXT_ID
        losses.append(mean_loss(logits[keep], part[:, 1:][keep]) * len(part))
    return float(torch.stack(losses).sum() / len(tokens))
