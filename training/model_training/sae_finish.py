"""From a trained SAE to its folder: threshold, files, held-out measures, card."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from model_training.corpus import TokenStream
from model_training.hub_model import OUTLIER
from model_training.sae_evaluation import (
    Fit,
    calibrated_threshold,
    measured_fit,
    measured_loss_increase,
)
from model_training.sae_folder import folded, write_sae_folder, write_sparsity
from model_training.sae_objectives import DOWNSTREAM_WEIGHT
from model_training.sae_run import SaeTrainer
from model_training.sae_source import CutModel, WindowMix, activations_at

EVALUATION_TOKENS = 4096
"""In a batch of held-out tokens."""

OBJECTIVES = {
    "local": "squared reconstruction error",
    "e2e": "KL divergence of the model's outputs (end to end)",
    "e2e_ds": "KL divergence of the model's outputs plus the later layers' squared error "
    "(end to end with downstream reconstruction)",
}

_NO_PENALTY = (
    "There is no term for the SAE's own reconstruction and no sparsity penalty\n"
    "(Braun et al. 2024 have an L1 penalty): batch top-k holds L0."
)
WEIGHTS = {
    "e2e": f"The loss is the divergence in nats per token, weight 1. {_NO_PENALTY}",
    "e2e_ds": "The loss is the divergence in nats per token, weight 1, plus the mean over the\n"
    "later layers of the squared error in units of that layer's variance, weight "
    f"{DOWNSTREAM_WEIGHT:g}.\n{_NO_PENALTY}",
}


@dataclass(frozen=True)
class Finisher:
    """Writes finished SAEs under one folder."""

    folder: Path
    model: CutModel
    """In float32."""
    model_name: str
    """As SAEs name it."""
    stored: torch.dtype
    """The format of SAEs on disk."""
    begins_texts: bool
    """Whether half of the longest windows begin with the end-of-text token."""
    held_out: TokenStream
    """Held-out token ids, shape (tokens,)."""
    held_out_tokens: int
    """How many of them to measure on, for each window length."""
    command: list[str]

    def finish(self, trainer: SaeTrainer, mix: WindowMix) -> dict[str, Any]:
        """Writes one SAE's folder and returns its measures.

        Args:
            trainer: the trained SAE.
            mix: the training batches, for the threshold and the firing rates.
        """
        model, spec = self.model, trainer.spec
        batches = [
            activations_at(model, spec.layer, mix.tokens(index, model.device)) * trainer.scale
            for index in range(20)
        ]
        threshold = calibrated_threshold(trainer.weights, batches, spec.active)
        folder = self.folder / spec.name
        stored = write_sae_folder(
            folder,
            folded(trainer.weights, threshold, trainer.scale),
            self._metadata(trainer),
            self.stored,
        )
        weights = {name: tensor.to(model.device) for name, tensor in stored.items()}
        rates = measured_fit(model, spec.layer, weights, mix, self.held_out_tokens)
        write_sparsity(folder, rates.firing_rates)
        measures = self._measures(trainer, weights)
        text = json.dumps(measures, indent=2) + "\n"
        (folder / "measures.json").write_text(text, encoding="utf-8")
        (folder / "README.md").write_text(self._card(trainer, measures), encoding="utf-8")
        return measures

    def _metadata(self, trainer: SaeTrainer) -> dict[str, Any]:
        return {
            "model_name": self.model_name,
            "hook_name": f"blocks.{trainer.spec.layer}.hook_resid_pre",
            "prepend_bos": False,
            "context_size": max(trainer.settings.lengths),
            "model_sha256": self.model.sha256,
            "coordinates": "centered" if self.model.is_centred else "raw",
            "objective": trainer.spec.objective,
        }

    def _measures(self, trainer: SaeTrainer, weights: dict[str, Tensor]) -> dict[str, Any]:
        model, layer = self.model, trainer.spec.layer
        batch = min(EVALUATION_TOKENS, len(self.held_out) // 20)
        measures: dict[str, Any] = {}
        longest = max(trainer.settings.lengths)
        # A length alone would be the longest of its mix and begin with the end-of-text token
        # in half of its windows; beside a longer one it is cut from the middle of the text.
        for length in sorted({10, longest}):
            both = self._mix(sorted({length, longest}), batch)
            mix = WindowMix(both.parts[:1])
            fit = measured_fit(model, layer, weights, mix, self.held_out_tokens)
            measures[f"windows_of_{length}"] = _as_record(fit)
        mix = self._mix([longest], batch)
        batches = max(1, self.held_out_tokens // 8 // batch)
        losses = measured_loss_increase(model, layer, weights, mix, batches)
        measures["loss"] = {
            "original": losses.original,
            "substituted": losses.substituted,
            "mean_ablated": losses.mean_ablated,
            "increase": losses.substituted - losses.original,
            "tokens": losses.tokens,
        }
        return measures

    def _mix(self, lengths: list[int], batch: int) -> WindowMix:
        share = 0.5 * self.begins_texts
        return WindowMix.of(self.held_out, lengths, batch, 0, bos_share=share)

    def _card(self, trainer: SaeTrainer, measures: dict[str, Any]) -> str:
        spec, settings = trainer.spec, trainer.settings
        lines = [
            f"# SAE at blocks.{spec.layer}.hook_resid_pre ({spec.name})",
            "",
            f"{spec.latents} latents, trained for the {OBJECTIVES[spec.objective]} with batch",
            f"top-k at {spec.active:g} active latents a token, stored as JumpReLU in SAELens'",
            f"format ({str(self.stored).removeprefix('torch.')} on disk). {self._coordinates()}",
            f"{self._left_out()}, are not in training and measures, and keep their own",
            "activations when reconstructions are substituted.",
            *([] if spec.objective == "local" else ["", WEIGHTS[spec.objective]]),
            "",
            "| held-out windows | explained variance | L0 | dead latents | tokens |",
            "|---|---|---|---|---|",
        ]
        for name, fit in measures.items():
            if name.startswith("windows_of_"):
                lines.append(
                    f"| {name.removeprefix('windows_of_')} tokens "
                    f"| {fit['explained_variance']:.4f} | {fit['l0']:.1f} "
                    f"| {fit['dead_share']:.1%} | {fit['tokens']:,} |"
                )
        loss = measures["loss"]
        lines += [
            "",
            f"Held-out loss {loss['original']:.4f} nats/token; with reconstructions substituted "
            f"{loss['substituted']:.4f} (increase {loss['increase']:.4f}); with the mean "
            f"activation everywhere {loss['mean_ablated']:.4f} (over {loss['tokens']:,} tokens).",
            "",
            f"Trained on {settings.tokens:,} tokens (windows of "
            f"{' and '.join(map(str, settings.lengths))}), seed {settings.seed}, "
            f"{datetime.now(UTC):%Y-%m-%d}, with `training/train_saes.py "
            f"{' '.join(_without_folders(self.command))}`.",
            "",
        ]
        return "\n".join(lines)

    def _coordinates(self) -> str:
        if not self.model.is_centred:
            return "It reads raw activations, as the model holds them."
        return (
            "It reads centred activations:\nsubtract the mean over the width from every residual "
            "vector first."
        )

    def _left_out(self) -> str:
        if self.begins_texts:
            return "Positions that hold the end-of-text token"
        return f"First positions, and norms over {OUTLIER:g} times the median"


def _as_record(fit: Fit) -> dict[str, float]:
    return {
        "explained_variance": fit.explained_variance,
        "l0": fit.l0,
        "dead_share": fit.dead_share,
        "tokens": fit.tokens,
    }


def _without_folders(words: list[str]) -> list[str]:
    # A card tells the command, not where someone's files lie.
    return [Path(word).name if "/" in word else word for word in words]
