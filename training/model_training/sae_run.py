"""One resumable training run of SAEs that share a layer and its activations."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from torch import Tensor
from tqdm import tqdm

from model_training.checkpoint import load_state, save_state
from model_training.optimiser import MuonWithAdamW, OptimiserSettings
from model_training.sae_model import SaeOutput, constrain, initial_sae
from model_training.sae_objectives import (
    EndToEnd,
    local_loss,
    reference_run,
)
from model_training.sae_source import CutModel, WindowMix, activations_at

START_WIDENING = 4.0
"""How many times more latents are active at the start of training than at its end."""

Loss = Callable[[dict[str, Tensor], float], tuple[Tensor, SaeOutput]]


@dataclass(frozen=True)
class SaeSpec:
    """One SAE to be trained."""

    name: str
    """Its folder."""
    layer: int
    """It reads `blocks.{layer}.hook_resid_pre`."""
    latents: int
    active: float
    """Mean number of active latents (L0)."""
    objective: str = "local"
    """"local", "e2e" or "e2e_ds"."""


@dataclass(frozen=True)
class SaeSettings:
    """How a group of SAEs is trained."""

    tokens: int
    lengths: tuple[int, ...]
    """Window lengths in the mix."""
    batch_tokens: int = 512
    rate: float = 4e-3
    warm_up_share: float = 0.03
    decay_share: float = 0.3
    silent_tokens: int = 5_000
    """A latent not active for so many tokens counts as silent, and its bias rises."""
    seed: int = 0
    checkpoint_seconds: float = 120.0


class SaeTrainer:
    """One SAE in training; works on activations scaled to unit mean squared deviation."""

    def __init__(self, spec: SaeSpec, settings: SaeSettings, sample: Tensor, model: CutModel):
        """Starts from a sample of activations, shape (n, d) with n >= latents."""
        self.spec, self.settings = spec, settings
        self.scale = float((sample - sample.mean(0)).square().sum(-1).mean() ** -0.5)
        self.weights = initial_sae(
            sample * self.scale,
            spec.latents,
            spec.active * START_WIDENING,
            settings.seed,
            centred=model.is_centred,
        )
        self.silent_for = torch.zeros(spec.latents, device=sample.device)
        self.optimiser = MuonWithAdamW(
            self.weights,
            OptimiserSettings(other_rate=settings.rate, other_momenta=(0.9, 0.999)),
        )
        self.precision, self.is_centred = model.precision, model.is_centred
        self.copies: dict[str, Tensor] = {}
        self.refresh()

    def refresh(self) -> None:
        """Renews the low-precision copies that the computation uses."""
        self.copies = {
            name: tensor.to(self.precision, copy=True).requires_grad_()
            for name, tensor in self.weights.items()
        }

    def update(self, loss: Loss, progress: float) -> tuple[float, float]:
        """Takes one step.

        Args:
            loss: the objective on this batch.
            progress: share of the training done, 0 to 1.

        Returns:
            The loss and the batch's mean number of active latents.
        """
        # More latents at the start: all of them get gradients before the choice narrows.
        widening = 1 + (START_WIDENING - 1) * max(0.0, 1 - progress / 0.15)
        value, output = loss(self.copies, self.spec.active * widening)
        parts = torch.autograd.grad(value, list(self.copies.values()))
        gradients = {name: part.float() for name, part in zip(self.copies, parts, strict=True)}
        self.optimiser.step(self.weights, gradients, self._rate(progress))
        constrain(self.weights, self.is_centred)
        fired = output.latents.detach() > 0
        self.silent_for += len(fired)
        self.silent_for[fired.any(0)] = 0
        # A silent latent gets no gradient: its bias rises until it is active and learns again.
        silent = self.silent_for > self.settings.silent_tokens
        self.weights["b_enc"][silent] += self.settings.rate * self._rate(progress)
        self.refresh()
        return float(value.detach()), float(fired.sum()) / len(fired)

    def _rate(self, progress: float) -> float:
        settings = self.settings
        rise = progress / settings.warm_up_share
        return max(0.0, min(1.0, rise + 0.01, (1 - progress) / settings.decay_share))

    def state(self) -> dict[str, Tensor]:
        """Returns the live tensors of the training state."""
        weights = {f"weights.{name}": tensor for name, tensor in self.weights.items()}
        return weights | self.optimiser.state | {"silent_for": self.silent_for}


class SaeRun:
    """Trains a group of SAEs at one layer on the same batches."""

    def __init__(
        self,
        folder: Path,
        model: CutModel,
        mix: WindowMix,
        specs: list[SaeSpec],
        settings: SaeSettings,
    ) -> None:
        """Starts anew or where the group's state file ends.

        Args:
            folder: for state and log.
            model: the frozen language model.
            mix: the batches.
            specs: the SAEs, all at one layer and either all local or all end to end.
            settings: how to train them.
        """
        self.folder, self.model, self.mix, self.settings = folder, model, mix, settings
        self.layer = specs[0].layer
        self.device = model.device
        self.step = 0
        sample = self._sample(max(spec.latents for spec in specs))
        self.trainers = [SaeTrainer(spec, settings, sample, model) for spec in specs]
        self.state_file = folder / "state" / f"{specs[0].name}.safetensors"
        if self.state_file.exists():
            self._load()

    def train(self) -> None:
        """Runs to the end of the settings' tokens."""
        steps = self.settings.tokens // self.settings.batch_tokens
        saved = time.time()
        names = ", ".join(trainer.spec.name for trainer in self.trainers)
        for _ in tqdm(range(self.step, steps), initial=self.step, total=steps, desc=names[:40]):
            values = self._one_step(self.step / steps)
            self.step += 1
            if self.step % 50 == 0 or self.step == steps:
                self._log(values)
            if time.time() - saved > self.settings.checkpoint_seconds or self.step == steps:
                self._save()
                saved = time.time()

    def _one_step(self, progress: float) -> list[tuple[float, float]]:
        # Batch numbers from 1000 on: the first ones gave the sample for the initial weights.
        batch = self.mix.tokens(self.step + 1000, self.device)
        if self.trainers[0].spec.objective != "local":
            return [
                self._end_to_end_step(trainer, batch[-1][0], progress) for trainer in self.trainers
            ]
        activations = activations_at(self.model, self.layer, batch)
        return [self._local_step(trainer, activations, progress) for trainer in self.trainers]

    def _local_step(
        self, trainer: SaeTrainer, activations: Tensor, progress: float
    ) -> tuple[float, float]:
        scaled = activations * trainer.scale
        return trainer.update(lambda w, active: local_loss(w, scaled, active), progress)

    def _end_to_end_step(
        self, trainer: SaeTrainer, inputs: Tensor, progress: float
    ) -> tuple[float, float]:
        reference = reference_run(self.model, self.layer, inputs)
        objective = EndToEnd(
            self.model, self.layer, trainer.scale, trainer.spec.objective == "e2e_ds"
        )
        return trainer.update(lambda w, active: objective.loss(w, reference, active), progress)

    def _sample(self, latents: int) -> Tensor:
        pieces: list[Tensor] = []
        while sum(len(piece) for piece in pieces) < 4 * latents:
            batch = self.mix.tokens(len(pieces), self.device)
            pieces.append(activations_at(self.model, self.layer, batch))
        return torch.cat(pieces)

    def _log(self, values: list[tuple[float, float]]) -> None:
        with (self.folder / "sae_log.jsonl").open("a", encoding="utf-8") as log:
            for trainer, (loss, active) in zip(self.trainers, values, strict=True):
                silent = trainer.silent_for > self.settings.silent_tokens
                line = {
                    "name": trainer.spec.name,
                    "tokens": self.step * self.settings.batch_tokens,
                    "loss": loss,
                    "l0": active,
                    "silent_share": float(silent.float().mean()),
                }
                log.write(json.dumps(line) + "\n")

    def _save(self) -> None:
        tensors = {
            f"{index}.{name}": tensor
            for index, trainer in enumerate(self.trainers)
            for name, tensor in trainer.state().items()
        }
        scales = [trainer.scale for trainer in self.trainers]
        record = {"step": self.step, "scales": scales, "asked": self._asked()}
        save_state(self.state_file, tensors, record)

    def _asked(self) -> dict[str, object]:
        asked = asdict(self.settings) | {"specs": [asdict(t.spec) for t in self.trainers]}
        # SAEs of a model that has since been trained on are not this one's.
        asked["model_sha256"] = self.model.sha256
        # How often it saves changes no number; lists and tuples are alike in JSON.
        asked.pop("checkpoint_seconds")
        compared: dict[str, object] = json.loads(json.dumps(asked))
        return compared

    def _load(self) -> None:
        tensors, record = load_state(self.state_file)
        if record.get("asked") != self._asked():
            raise ValueError(
                f"{self.state_file} was begun with {record.get('asked')}, now asked for is "
                f"{self._asked()}; delete the file to start again"
            )
        self.step = record["step"]
        for index, trainer in enumerate(self.trainers):
            for name, tensor in trainer.state().items():
                tensor.copy_(tensors[f"{index}.{name}"])
            trainer.scale = record["scales"][index]
            trainer.optimiser.steps = self.step
            trainer.refresh()
