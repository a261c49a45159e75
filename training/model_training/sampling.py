"""Samples texts from the model and cuts them into prompts."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from math import ceil
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor
from tqdm import tqdm
from transformers import GPT2LMHeadModel

from model_training.checkpoint import load_record, save_state
from model_training.corpus import END_OF_TEXT_ID
from model_training.hub_folder import file_sha256, read_model_folder


@dataclass(frozen=True)
class PromptPlan:
    """How many prompts, and how they are cut from sampled texts."""

    windows: int
    """Wanted windows from the middle of texts."""
    window: int
    """Tokens in each of them."""
    sequences: int
    """Wanted whole texts."""
    length: int
    """Tokens in a text, the end-of-text token at its start included."""
    batch: int
    """Texts sampled at once."""
    seed: int

    @property
    def first_position(self) -> int:
        """Where the first window of a text begins: past the start, where texts are alike."""
        return min(8, self.length - self.window)

    @property
    def windows_per_text(self) -> int:
        """Windows cut from one text, without overlap."""
        return (self.length - self.first_position) // self.window

    @property
    def batches(self) -> int:
        """Batches of texts to sample."""
        texts = self.sequences + ceil(self.windows / self.windows_per_text)
        return ceil(texts / self.batch)


def sampled_batch_files(
    model_folder: Path, folder: Path, plan: PromptPlan, device: str
) -> list[Path]:
    """Samples every batch of texts that is not on disk yet, and returns the batch files.

    Args:
        model_folder: the model, in the hub's format.
        folder: for the log, prompts_log.jsonl, and for each batch, so that a stopped run goes on.
        plan: what is wanted.
        device: where to compute.

    Raises:
        ValueError: A batch on disk is another model's, or of another plan.
    """
    model = read_model_folder(model_folder, device)
    state, log = folder / "state", folder / "prompts_log.jsonl"
    origin = {"model_sha256": file_sha256(model_folder / "model.safetensors"), **asdict(plan)}
    files = [state / f"texts-{index:05d}.safetensors" for index in range(plan.batches)]
    started = time.time()
    for index, file in enumerate(tqdm(files, desc="sampling texts")):
        if not file.exists():
            generator = torch.Generator(device).manual_seed(plan.seed * 1_000_003 + index)
            texts, nats = _sampled_texts(model, plan, generator)
            save_state(file, {"texts": texts}, origin)
            line = {"batch": index, "texts": (index + 1) * plan.batch, "nats_per_token": nats}
            line["seconds"] = round(time.time() - started, 1)
            with log.open("a", encoding="utf-8") as lines:
                lines.write(json.dumps(line) + "\n")
        elif load_record(file) != origin:
            raise ValueError(
                f"{file} holds texts of {load_record(file)}, now asked for are those of {origin}; "
                f"delete {state} to sample anew"
            )
    return files


@torch.no_grad()
def _sampled_texts(
    model: GPT2LMHeadModel, plan: PromptPlan, generator: torch.Generator
) -> tuple[Tensor, float]:
    """Texts (batch, length), and their mean negative log-probability in nats per token."""
    texts = torch.full((plan.batch, 1), END_OF_TEXT_ID, device=generator.device)
    cache, nats = None, 0.0
    while texts.shape[1] < plan.length:
        output = model(texts[:, -1:], past_key_values=cache, use_cache=True)
        cache, logits = output.past_key_values, output.logits[:, -1]
        # A second start within a text would make some windows not mid-document.
        logits[:, END_OF_TEXT_ID] = float("-inf")
        drawn = torch.multinomial(logits.softmax(-1), 1, generator=generator)
        nats -= float(logits.log_softmax(-1).gather(1, drawn).mean())
        texts = torch.cat([texts, drawn], dim=1)
    return texts.to("cpu", torch.int32), nats / (plan.length - 1)


def merged_prompts(
    files: list[Path], path: Path, plan: PromptPlan, record: Mapping[str, str]
) -> dict[str, int]:
    """Cuts the sampled texts and writes one safetensors file.

    Args:
        files: as `sampled_batch_files` returns them.
        path: the file to write.
        plan: what is wanted.
        record: metadata for the file.

    Returns:
        How many windows and sequences it holds.
    """
    texts = torch.cat([load_file(file)["texts"] for file in files])
    sequences, rest = texts[: plan.sequences], texts[plan.sequences :]
    span = plan.windows_per_text * plan.window
    middle = rest[:, plan.first_position : plan.first_position + span]
    windows = middle.reshape(-1, plan.window).numpy()
    # Neighbours in the file would else come from one text; a study takes the first thousand.
    order = np.random.default_rng(plan.seed).permutation(len(windows))
    tensors = {
        f"windows_{plan.window}": torch.from_numpy(windows[order]),
        f"sequences_{plan.length}": sequences.contiguous(),
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    save_file(tensors, path, metadata=dict(record))
    return {"windows": len(windows), "sequences": len(sequences)}
