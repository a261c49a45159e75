"""Trains the bundled GPT-2-architecture language model; killed and restarted, it goes on."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import torch

from model_training.corpus import load_or_train_tokenizer, read_books, token_stream
from model_training.language_model import Shape
from model_training.machine import keep_freed_memory
from model_training.model_card import write_card
from model_training.model_run import ModelRun, RunSettings
from model_training.optimiser import OptimiserSettings


def parse_arguments(arguments: Sequence[str]) -> argparse.Namespace:
    """Reads the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--text", type=Path, required=True, help="training text, .xz or plain")
    parser.add_argument("--held-out", type=Path, required=True, help="text for the held-out loss")
    parser.add_argument("--out", type=Path, required=True, help="folder for everything written")
    parser.add_argument("--tokens", type=int, default=40_000_000, help="tokens to see in all")
    parser.add_argument("--vocabulary", type=int, default=4096)
    parser.add_argument("--layers", type=int, default=8)
    parser.add_argument("--width", type=int, default=256)
    parser.add_argument("--heads", type=int, default=4)
    parser.add_argument("--window", type=int, default=128, help="tokens in a training window")
    parser.add_argument("--microbatch", type=int, default=32, help="windows computed at once")
    parser.add_argument("--microbatches", type=int, default=2, help="of them in a step")
    parser.add_argument("--matrix-rate", type=float, default=0.02, help="Muon's learning rate")
    parser.add_argument("--other-rate", type=float, default=3e-3, help="AdamW's learning rate")
    parser.add_argument("--warm-up", type=int, default=500_000, help="tokens of rising rate")
    parser.add_argument("--decay-share", type=float, default=0.25, help="last part, falling rate")
    parser.add_argument(
        "--dropout", type=float, default=0.1, help="share left out; the hub's GPT-2 has 0.1"
    )
    parser.add_argument("--evaluate-every", type=int, default=100, help="steps")
    parser.add_argument("--checkpoint-seconds", type=float, default=180.0)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, help="CPU threads, all by default")
    parser.add_argument("--no-compile", action="store_true", help="skip torch.compile")
    return parser.parse_args(arguments)


def run_settings(options: argparse.Namespace) -> RunSettings:
    """Turns the command line into the run's settings."""
    return RunSettings(
        tokens=options.tokens,
        shape=Shape(
            options.layers, options.width, options.heads, options.vocabulary, options.window
        ),
        optimiser=OptimiserSettings(matrix_rate=options.matrix_rate, other_rate=options.other_rate),
        microbatch=options.microbatch,
        microbatches=options.microbatches,
        window=options.window,
        seed=options.seed,
        warm_up_tokens=options.warm_up,
        decay_share=options.decay_share,
        dropout=options.dropout,
        evaluate_every=options.evaluate_every,
        checkpoint_seconds=options.checkpoint_seconds,
        compiled=not options.no_compile,
    )


def main(arguments: Sequence[str] | None = None) -> None:
    """Prepares the text once, trains, and writes the finished model with its card."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    options = parse_arguments(words)
    keep_freed_memory()
    if options.threads:
        torch.set_num_threads(options.threads)
    options.out.mkdir(parents=True, exist_ok=True)
    train_books, held_out_books = read_books(options.text), read_books(options.held_out)
    tokenizer = load_or_train_tokenizer(
        options.out / "tokenizer.json", train_books, options.vocabulary
    )
    streams = {
        "train": token_stream(options.out / "train_tokens.npy", train_books, tokenizer),
        "held_out": token_stream(options.out / "held_out_tokens.npy", held_out_books, tokenizer),
    }
    run = ModelRun(options.out, run_settings(options), streams, tokenizer)
    run.train()
    write_card(options.out, run, streams, words)


if __name__ == "__main__":
    main()
