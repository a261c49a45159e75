"""Measures a finished model on held-out text, beside a 5-gram model, and writes its card."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as functional
from numpy.typing import NDArray

from model_training import ngram
from model_training.cache_note import digest, made_once
from model_training.corpus import Windows
from model_training.model_run import ModelRun, token_bytes
from model_training.sae_source import FrozenModel

Streams = Mapping[str, NDArray[np.uint16]]
MEASURED_WINDOWS = 2048


def write_card(folder: Path, run: ModelRun, streams: Streams, command: Sequence[str]) -> None:
    """Writes README.md and measures.json into the finished model's folder.

    Args:
        folder: the training folder; the model lies in its `model` folder.
        run: the finished run.
        streams: token ids under "train" and "held_out".
        command: the words of the command line.
    """
    measures = {
        "tokens_seen": run.tokens,
        "parameters": sum(tensor.numel() for tensor in run.weights.values()),
        "model": measured_losses(folder / "model", run, streams["held_out"]),
        "five_gram": five_gram_losses(folder / "five_gram.json", run, streams),
    }
    model_folder = folder / "model"
    text = json.dumps(measures, indent=2) + "\n"
    (model_folder / "measures.json").write_text(text, encoding="utf-8")
    (model_folder / "README.md").write_text(_card(run, measures, command), encoding="utf-8")


@torch.no_grad()
def measured_losses(
    model_folder: Path, run: ModelRun, held_out: NDArray[np.uint16]
) -> dict[str, float]:
    """Returns held-out losses of the stored model in float32, in nats per token and per byte.

    Half of the windows begin with the end-of-text token. "late" losses are those of each
    window's second half, where at least half a window of context is known.
    """
    model = FrozenModel.load(model_folder, run.device, torch.float32)
    windows = Windows(held_out, run.settings.window, run.settings.microbatch, 0)
    sizes = token_bytes(run.tokenizer)
    sums = np.zeros((run.settings.window, 2))
    batches = min(MEASURED_WINDOWS // run.settings.microbatch, windows.batches_per_pass)
    for index in range(batches):
        inputs, targets = windows.batch(index)
        logits = model.onwards(0, model.embedded(torch.from_numpy(inputs).to(run.device)))[1]
        losses = functional.cross_entropy(
            logits.mT, torch.from_numpy(targets).to(run.device), reduction="none"
        )
        sums[:, 0] += losses.sum(0).double().cpu().numpy()
        sums[:, 1] += sizes[targets].sum(0)
    tokens = batches * run.settings.microbatch
    late = sums[run.settings.window // 2 :]
    return {
        "nats_per_token": float(sums[:, 0].mean() / tokens),
        "nats_per_byte": float(sums[:, 0].sum() / sums[:, 1].sum()),
        "late_nats_per_token": float(late[:, 0].mean() / tokens),
        "late_nats_per_byte": float(late[:, 0].sum() / late[:, 1].sum()),
        "tokens": tokens * run.settings.window,
    }


def five_gram_losses(cache: Path, run: ModelRun, streams: Streams) -> dict[str, float]:
    """Returns the 5-gram model's losses on all held-out tokens; computed once.

    Raises:
        ValueError: The cached losses are those of other tokens.
    """
    vocabulary = run.settings.shape.vocabulary

    def make(file: Path) -> None:
        orders = ngram.fit(streams["train"], vocabulary)
        loss, predicted = ngram.cross_entropy(orders, streams["held_out"], vocabulary)
        size = int(token_bytes(run.tokenizer)[predicted].sum())
        record = {
            "nats_per_token": loss,
            "nats_per_byte": loss * len(predicted) / size,
            "tokens": len(predicted),
        }
        file.write_text(json.dumps(record) + "\n", encoding="utf-8")

    origin: dict[str, str | int] = {
        f"{name}_tokens_sha256": digest([tokens.tobytes()]) for name, tokens in streams.items()
    }
    made_once(cache, origin | {"vocabulary": vocabulary}, make)
    losses: dict[str, float] = json.loads(cache.read_text(encoding="utf-8"))
    return losses


def _card(run: ModelRun, measures: Mapping[str, Any], command: Sequence[str]) -> str:
    shape, model, baseline = run.settings.shape, measures["model"], measures["five_gram"]
    parameters, text = measures["parameters"], len(run.windows.stream)
    words = " ".join(Path(word).name if "/" in word else word for word in command)
    return f"""# The bundled language model

GPT-2 architecture, trained from scratch for this project: {shape.layers} layers,
width {shape.width}, {shape.heads} heads, {parameters:,} parameters, byte-level BPE of
{shape.vocabulary:,} tokens, {shape.positions} positions, tied embeddings, float16 on disk. The
end-of-text token (id 0) is also the beginning-of-text token; half of the training windows began
with it, half in the middle of a text.

Data: public-domain English books; {run.tokens:,} tokens seen of a text of {text:,}. None of
that text is part of the project.

| held-out loss | nats/token | nats/byte | bits/byte |
|---|---|---|---|
| this model, windows of {run.settings.window} tokens | {_row(model)} |
| this model, second half of each window | {_row(model, "late_")} |
| 5-gram (modified Kneser-Ney, same text, unbroken context) | {_row(baseline)} |

Seed {run.settings.seed}, {datetime.now(UTC):%Y-%m-%d}, Muon and AdamW, warm-up, stable, decay:
the rate fell from {run.plan.decay_start:,} tokens on. Dropout where the hub's GPT-2 configuration
has it on the residual stream: {_dropout(run)}. Command: `training/train_model.py {words}`.
"""


def _dropout(run: ModelRun) -> str:
    return ", ".join(f"{share:g} from token {start:,} on" for start, share in run.dropout_history)


def _row(losses: dict[str, float], prefix: str = "") -> str:
    per_byte = losses[prefix + "nats_per_byte"]
    bits = per_byte / np.log(2)
    return f"{losses[prefix + 'nats_per_token']:.4f} | {per_byte:.4f} | {bits:.4f}"
