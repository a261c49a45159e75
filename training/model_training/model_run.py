"""One resumable training run of the language model."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from tokenizers import Tokenizer
from torch import Tensor
from tqdm import tqdm

from model_training.checkpoint import load_record, load_state, save_state
from model_training.corpus import Windows
from model_training.dropout import Dropout
from model_training.hub_folder import write_model_folder
from model_training.language_model import Shape, initial_weights, next_token_loss
from model_training.machine import best_device, fast_precision
from model_training.optimiser import MuonWithAdamW, OptimiserSettings
from model_training.schedule import Plan, planned

SNAPSHOT_TOKENS = tuple(
    int(million * 1e6) for million in (0, 0.5, 1, 2, 4, 8, 16, 24, 32, 48, 64, 96, 128, 192, 256)
)

CHANGEABLE = {
    "tokens", "warm_up_tokens", "decay_share", "dropout", "evaluate_every", "held_out_windows",
    "checkpoint_seconds", "compiled",
}  # fmt: skip
"""Settings that a resumed run may change: how long, how often; and dropout, which it records."""


@dataclass(frozen=True)
class RunSettings:
    """Everything that decides a run's numbers, and how often it writes."""

    tokens: int
    shape: Shape
    optimiser: OptimiserSettings
    microbatch: int = 32
    """Windows computed at once."""
    microbatches: int = 2
    """Gradients summed for one step of the optimiser."""
    window: int = 128
    seed: int = 0
    warm_up_tokens: int = 500_000
    decay_share: float = 0.25
    dropout: float = 0.1
    """Share left out of what enters the residual stream; resumed runs may change it. 0.1 is that of
    the hub's GPT-2 configuration."""
    evaluate_every: int = 100
    """Steps between held-out losses."""
    held_out_windows: int = 256
    checkpoint_seconds: float = 180.0
    compiled: bool = True


class ModelRun:
    """Trains in `folder`; killed at any moment, a new object goes on where the last one saved.

    `state/stable.safetensors` is the last state before the decay (a run for more tokens goes on
    from it), `state/decay.safetensors` the last one within it. A file DECAY_NOW in the folder,
    holding a number of tokens, starts the decay at once.
    """

    def __init__(
        self,
        folder: Path,
        settings: RunSettings,
        streams: dict[str, NDArray[np.uint16]],
        tokenizer: Tokenizer,
    ) -> None:
        """Loads the last state, or draws initial weights.

        Args:
            folder: where state, log, snapshots and the finished model lie.
            settings: the run's settings.
            streams: token ids under "train" and "held_out", each of shape (tokens,).
            tokenizer: written beside every exported model.
        """
        self.folder, self.settings, self.tokenizer = folder, settings, tokenizer
        self.device = best_device()
        self.precision = fast_precision(self.device)
        self.windows = Windows(
            streams["train"], settings.window, settings.microbatch, settings.seed
        )
        self.held_out = Windows(streams["held_out"], settings.window, settings.microbatch, 0)
        self.token_bytes = token_bytes(tokenizer)
        self.loss = torch.compile(next_token_loss) if settings.compiled else next_token_loss
        self.step = 0
        self.started = time.time()
        self.weights = {
            name: tensor.to(self.device)
            for name, tensor in initial_weights(settings.shape, settings.seed).items()
        }
        self.optimiser = MuonWithAdamW(self.weights, settings.optimiser)
        self.dropout = Dropout(
            settings.dropout, settings.shape, settings.seed, self.device, self.precision
        )
        self.dropout_history: list[tuple[int, float]] = [(0, settings.dropout)]
        self.plan = self._restore()
        self.copies = {
            name: tensor.to(self.precision).requires_grad_()
            for name, tensor in self.weights.items()
        }

    @property
    def tokens_per_step(self) -> int:
        """Tokens in one step of the optimiser."""
        settings = self.settings
        return settings.microbatch * settings.microbatches * settings.window

    @property
    def tokens(self) -> int:
        """Tokens seen so far."""
        return self.step * self.tokens_per_step

    def train(self) -> None:
        """Runs to the plan's end and writes the finished model."""
        saved = time.time()
        if self.tokens < self.plan.end and self.dropout_history[-1][1] != self.settings.dropout:
            self.dropout_history.append((self.tokens, self.settings.dropout))
        with tqdm(total=self.plan.end, initial=self.tokens, unit="token", unit_scale=True) as bar:
            while self.tokens < self.plan.end:
                self._before_step()
                loss = self._one_step()
                bar.update(self.tokens_per_step)
                if self.step % 10 == 0:
                    bar.set_postfix(loss=f"{loss:.3f}")
                    self._log({"loss": loss, "rate": self._rate()})
                if self.step % self.settings.evaluate_every == 0:
                    self._log(self.held_out_loss())
                if time.time() - saved > self.settings.checkpoint_seconds:
                    self._save()
                    saved = time.time()
                if self._asked_to_finish():
                    bar.total = self.plan.end
        self._save()
        self._log(self.held_out_loss() | {"finished": True})
        write_model_folder(self.folder / "model", self.weights, self.settings.shape, self.tokenizer)

    @torch.no_grad()
    def held_out_loss(self) -> dict[str, float]:
        """Returns the held-out loss in nats per token and per byte, half the windows from BOS."""
        total, tokens, size = 0.0, 0, 0
        count = max(1, self.settings.held_out_windows // self.settings.microbatch)
        for index in range(min(count, self.held_out.batches_per_pass)):
            inputs, targets = self.held_out.batch(index)
            loss = self.loss(self.copies, self.settings.shape, *self._on_device(inputs, targets))
            total += float(loss) * targets.size
            tokens += targets.size
            size += int(self.token_bytes[targets].sum())
        return {"held_out_loss": total / tokens, "held_out_loss_per_byte": total / size}

    def _one_step(self) -> float:
        gradients: dict[str, Tensor] = {}
        total = 0.0
        count = self.settings.microbatches
        for part in range(count):
            number = self.step * count + part
            inputs, targets = self._on_device(*self.windows.batch(number))
            kept = self.dropout.kept(number, inputs)
            loss = self.loss(self.copies, self.settings.shape, inputs, targets, kept)
            parts = torch.autograd.grad(loss, list(self.copies.values()))
            for name, gradient in zip(self.copies, parts, strict=True):
                share = gradient.float() / count
                gradients[name] = gradients[name].add_(share) if name in gradients else share
            total += float(loss.detach()) / count
        self.optimiser.step(self.weights, gradients, self._rate())
        with torch.no_grad():
            for name, copy in self.copies.items():
                copy.copy_(self.weights[name])
        self.step += 1
        return total

    def _on_device(self, *arrays: NDArray[np.int64]) -> Iterator[Tensor]:
        return (torch.from_numpy(array).to(self.device) for array in arrays)

    def _rate(self) -> float:
        return self.plan.factor(self.tokens, self.settings.warm_up_tokens)

    def _before_step(self) -> None:
        before = self.tokens - self.tokens_per_step
        decaying = self.tokens >= self.plan.decay_start
        if decaying and before < self.plan.decay_start:
            self._save_to("stable")
        for target in SNAPSHOT_TOKENS:
            if before < target <= self.tokens and not decaying:
                folder = self.folder / "snapshots" / f"tokens-{target:09d}"
                write_model_folder(folder, self.weights, self.settings.shape, self.tokenizer)

    def _asked_to_finish(self) -> bool:
        request = self.folder / "DECAY_NOW"
        if not request.exists():
            return False
        asked = self.tokens < self.plan.decay_start
        if asked:
            length = int(request.read_text() or 0) or self.tokens // 3
            self.plan = Plan(self.tokens, self.tokens + length)
            self._save_to("stable")
            self._save_to("decay")
        # Only now that a state remembers it: a kill in between would else forget the request.
        # During a decay there is nothing to ask for; a file left by such a kill goes, too.
        request.unlink()
        return asked

    def _save(self) -> None:
        self._save_to("decay" if self.tokens > self.plan.decay_start else "stable")

    def _save_to(self, name: str) -> None:
        record = {
            "step": self.step,
            "tokens": self.tokens,
            "plan": self.plan.as_record(),
            "dropout_history": self.dropout_history,
            "settings": asdict(self.settings),
        }
        tensors = {f"weights.{key}": tensor for key, tensor in self.weights.items()}
        save_state(
            self.folder / "state" / f"{name}.safetensors", tensors | self.optimiser.state, record
        )

    def _restore(self) -> Plan:
        stable = self.folder / "state" / "stable.safetensors"
        decay = self.folder / "state" / "decay.safetensors"
        if decay.exists():
            record = load_record(decay)
            begun = Plan.from_record(record["plan"])
            # A decay under way is ended first; a finished one is left behind only for a run that
            # is asked for more than it was: DECAY_NOW may have ended it before what was asked.
            asked_then = max(begun.end, record["settings"]["tokens"])
            if record["tokens"] < begun.end or self.settings.tokens <= asked_then:
                self._load(decay)
                return begun
            decay.unlink()
        if stable.exists():
            self._load(stable)
        return planned(self.settings.tokens, self.settings.decay_share, self.tokens)

    def _load(self, path: Path) -> None:
        tensors, record = load_state(path)
        self._refuse_other_settings(path, record["settings"])
        for name, weight in self.weights.items():
            weight.copy_(tensors[f"weights.{name}"])
        for name, value in self.optimiser.state.items():
            value.copy_(tensors[name])
        self.step = self.optimiser.steps = record["step"]
        # States of before there was dropout do not tell of it.
        history = record.get("dropout_history", [(0, 0.0)])
        self.dropout_history = [(int(start), share) for start, share in history]

    def _refuse_other_settings(self, path: Path, begun_with: dict[str, Any]) -> None:
        ours = json.loads(json.dumps(asdict(self.settings)))
        differing = {
            name: (begun_with.get(name), value)
            for name, value in ours.items()
            if name not in CHANGEABLE and begun_with.get(name) != value
        }
        if differing:
            told = "; ".join(f"{name}: {old} -> {new}" for name, (old, new) in differing.items())
            raise ValueError(
                f"{path} was begun with other settings ({told}); give the old ones, or another "
                "folder with --out"
            )

    def _log(self, values: dict[str, Any]) -> None:
        line = {"step": self.step, "tokens": self.tokens} | values
        line["seconds"] = round(time.time() - self.started, 1)
        with (self.folder / "model_log.jsonl").open("a", encoding="utf-8") as log:
            log.write(json.dumps(line) + "\n")


def token_bytes(tokenizer: Tokenizer) -> NDArray[np.int64]:
    """Returns the number of text bytes each token id stands for, shape (vocabulary,)."""
    vocabulary = tokenizer.get_vocab()
    special = {token.content for token in tokenizer.get_added_tokens_decoder().values()}
    sizes = np.zeros(max(vocabulary.values()) + 1, dtype=np.int64)
    for token, identifier in vocabulary.items():
        # The byte-level alphabet writes every byte as one character.
        sizes[identifier] = 0 if token in special else len(token)
    return sizes
