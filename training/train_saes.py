"""Trains the bundled SAEs on a model folder; killed and restarted, it goes on."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import torch
from tokenizers import Tokenizer

from model_training.corpus import read_books, token_stream
from model_training.machine import best_device, fast_precision, keep_freed_memory
from model_training.sae_finish import Finisher
from model_training.sae_run import SaeRun, SaeSettings, SaeSpec
from model_training.sae_source import FrozenModel, WindowMix

GROUPS = ("main", "middle", "e2e", "e2e_ds")
SHORT_WINDOW = 10
"""The main study's window; half of the main SAE's tokens come in windows of this length."""


def parse_arguments(arguments: Sequence[str]) -> argparse.Namespace:
    """Reads the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", type=Path, help="model folder written by train_model.py")
    parser.add_argument("--text", type=Path, required=True, help="training text, .xz or plain")
    parser.add_argument("--held-out", type=Path, required=True, help="text for the measures")
    parser.add_argument("--out", type=Path, required=True, help="folder for everything written")
    parser.add_argument("--only", nargs="+", choices=GROUPS, default=list(GROUPS))
    parser.add_argument("--tokens", type=int, default=4_000_000, help="for each group")
    parser.add_argument("--main-latents", type=int, default=2048)
    parser.add_argument("--main-active", type=float, default=28.0, help="mean L0 of the main SAE")
    parser.add_argument("--middle-latents", type=int, default=2048)
    parser.add_argument("--middle-active", type=float, nargs="+", default=[8, 16, 32, 64])
    parser.add_argument("--end-to-end-active", type=float, default=32)
    parser.add_argument("--batch-tokens", type=int, default=512)
    parser.add_argument("--rate", type=float, default=4e-3, help="Adam's learning rate")
    parser.add_argument("--held-out-tokens", type=int, default=500_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, help="CPU threads, all by default")
    return parser.parse_args(arguments)


def specs_of(options: argparse.Namespace, layers: int) -> dict[str, list[SaeSpec]]:
    """Returns the SAEs of each group for a model of so many layers."""
    middle = layers // 2
    site = f"blocks.{middle}.hook_resid_pre"
    latents, active = options.middle_latents, options.end_to_end_active
    return {
        "main": [SaeSpec("blocks.1.hook_resid_pre", 1, options.main_latents, options.main_active)],
        "middle": [
            SaeSpec(f"{site}-l0-{count:g}", middle, latents, count)
            for count in options.middle_active
        ],
        "e2e": [SaeSpec(f"{site}-e2e", middle, latents, active, "e2e")],
        "e2e_ds": [SaeSpec(f"{site}-e2e-ds", middle, latents, active, "e2e_ds")],
    }


def main(arguments: Sequence[str] | None = None) -> None:
    """Trains the chosen groups one after the other and writes their folders."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    options = parse_arguments(words)
    keep_freed_memory()
    if options.threads:
        torch.set_num_threads(options.threads)
    options.out.mkdir(parents=True, exist_ok=True)
    device = best_device()
    model = FrozenModel.load(options.model, device, fast_precision(device))
    tokenizer = Tokenizer.from_file(str(options.model / "tokenizer.json"))
    train, held_out = (
        token_stream(options.out / f"{name}_tokens.npy", read_books(path), tokenizer)
        for name, path in (("train", options.text), ("held_out", options.held_out))
    )
    groups = specs_of(options, model.shape.layers)
    for group in options.only:
        longest = model.shape.positions
        lengths = (SHORT_WINDOW, longest) if group == "main" else (longest,)
        settings = SaeSettings(
            options.tokens, lengths, options.batch_tokens, options.rate, seed=options.seed
        )
        mix = WindowMix.of(train, lengths, options.batch_tokens, options.seed)
        run = SaeRun(options.out, model, mix, groups[group], settings)
        run.train()
        finisher = Finisher(
            options.out / "saes", options.model, held_out, options.held_out_tokens, words
        )
        for trainer in run.trainers:
            finisher.finish(trainer, mix)


if __name__ == "__main__":
    main()
