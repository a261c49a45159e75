"""Trains SAEs on a model folder; killed and restarted, it goes on.

With --site: on any causal language model in the hub's format. Without: the bundled model's SAEs,
on a folder of train_model.py.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Sequence
from pathlib import Path

import torch
from tokenizers import Tokenizer

from model_training.corpus import read_books, token_stream
from model_training.hub_model import HubModel
from model_training.machine import best_device, fast_precision, keep_freed_memory
from model_training.sae_finish import Finisher
from model_training.sae_run import SaeRun, SaeSettings, SaeSpec
from model_training.sae_source import CutModel, FrozenModel, WindowMix

GROUPS = ("main", "middle", "e2e", "e2e_ds")
SHORT_WINDOW = 10
"""The main study's window; half of the main SAE's tokens come in windows of this length."""


def parse_arguments(arguments: Sequence[str]) -> argparse.Namespace:
    """Reads the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", type=Path, help="model folder in the hub's format")
    parser.add_argument("--text", type=Path, required=True, help="training text, .xz or plain")
    parser.add_argument("--held-out", type=Path, required=True, help="text for the measures")
    parser.add_argument("--out", type=Path, required=True, help="folder for everything written")
    parser.add_argument("--site", help="where SAEs read, such as blocks.1.hook_resid_pre")
    parser.add_argument("--latents", type=int, default=4096, help="with --site: of each SAE")
    parser.add_argument("--active", type=float, nargs="+", default=[32], help="with --site: L0s")
    parser.add_argument("--objective", choices=("local", "e2e", "e2e_ds"), default="local")
    parser.add_argument("--model-name", help="as SAEs name it; the folder's name by default")
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


def specs_at(options: argparse.Namespace, layers: int) -> list[SaeSpec]:
    """Returns one SAE for each number of active latents at the site asked for.

    Raises:
        SystemExit: The site is not before a block of the model.
    """
    match = re.fullmatch(r"blocks\.(\d+)\.hook_resid_pre", options.site)
    if match is None or int(match[1]) >= layers:
        raise SystemExit(
            f"--site {options.site}: expected blocks.LAYER.hook_resid_pre, LAYER below {layers}"
        )
    return [
        SaeSpec(
            f"{options.site}-l0-{active:g}",
            int(match[1]),
            options.latents,
            active,
            options.objective,
        )
        for active in options.active
    ]


def main(arguments: Sequence[str] | None = None) -> None:
    """Trains the chosen groups one after the other and writes their folders."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    options = parse_arguments(words)
    keep_freed_memory()
    if options.threads:
        torch.set_num_threads(options.threads)
    options.out.mkdir(parents=True, exist_ok=True)
    device = best_device()
    precision, ours = fast_precision(device), options.site is None
    model: FrozenModel | HubModel
    if ours:
        model = FrozenModel.load(options.model, device, precision)
        exact: CutModel = FrozenModel.load(options.model, device, torch.float32)
        groups = specs_of(options, model.layers)
    else:
        model = exact = HubModel.load(options.model, device, precision)
        groups = {"at_site": specs_at(options, model.layers)}
    tokenizer = Tokenizer.from_file(str(options.model / "tokenizer.json"))
    train, held_out = (
        token_stream(
            options.out / f"{name}_tokens.npy", read_books(path), tokenizer, separated=ours
        )
        for name, path in (("train", options.text), ("held_out", options.held_out))
    )
    for group in options.only if ours else groups:
        longest = model.positions
        lengths = (longest,) if ours and group != "main" else (SHORT_WINDOW, longest)
        settings = SaeSettings(
            options.tokens, lengths, options.batch_tokens, options.rate, seed=options.seed
        )
        share = 0.5 if ours else 0.0
        mix = WindowMix.of(train, lengths, options.batch_tokens, options.seed, bos_share=share)
        run = SaeRun(options.out, model, mix, groups[group], settings)
        run.train()
        finisher = Finisher(
            options.out / "saes",
            exact,
            "steppe-demo" if ours else options.model_name or options.model.name,
            torch.float16 if ours else torch.bfloat16,
            ours,
            held_out,
            options.held_out_tokens,
            words,
        )
        for trainer in run.trainers:
            finisher.finish(trainer, mix)


if __name__ == "__main__":
    main()
