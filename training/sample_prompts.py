"""Samples the bundled prompts from the trained model itself; killed and restarted, it goes on."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

import torch

from model_training.hub_folder import file_sha256
from model_training.machine import best_device, keep_freed_memory
from model_training.sampling import PromptPlan, merged_prompts, sampled_batch_files


def parse_arguments(arguments: Sequence[str]) -> argparse.Namespace:
    """Reads the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", type=Path, help="model folder written by train_model.py")
    parser.add_argument("--out", type=Path, required=True, help="folder for everything written")
    parser.add_argument("--windows", type=int, default=40_000, help="short windows")
    parser.add_argument("--window", type=int, default=10, help="tokens in a short window")
    parser.add_argument("--sequences", type=int, default=1_000, help="sequences from BOS")
    parser.add_argument("--length", type=int, default=128, help="tokens in a sequence")
    parser.add_argument("--batch", type=int, default=256, help="texts sampled at once")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, help="CPU threads, all by default")
    return parser.parse_args(arguments)


def main(arguments: Sequence[str] | None = None) -> None:
    """Samples texts, cuts them and writes prompts.safetensors with its card."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    options = parse_arguments(words)
    keep_freed_memory()
    if options.threads:
        torch.set_num_threads(options.threads)
    plan = PromptPlan(
        options.windows,
        options.window,
        options.sequences,
        options.length,
        options.batch,
        options.seed,
    )
    files = sampled_batch_files(options.model, options.out, plan, best_device())
    record = {
        "model_sha256": file_sha256(options.model / "model.safetensors"),
        "seed": str(options.seed),
        "command": "training/sample_prompts.py "
        + " ".join(Path(word).name if "/" in word else word for word in words),
    }
    counts = merged_prompts(files, options.out / "prompts.safetensors", plan, record)
    (options.out / "README.md").write_text(_card(plan, counts, record), encoding="utf-8")


def _card(plan: PromptPlan, counts: dict[str, int], record: dict[str, str]) -> str:
    return "\n".join(
        [
            "# Prompts sampled from the bundled model",
            "",
            "Texts sampled at temperature 1 from the end-of-text token, which is not drawn again.",
            "`prompts.safetensors` holds token ids (int32):",
            "",
            f"- `windows_{plan.window}`, {counts['windows']:,} x {plan.window}: cut without "
            f"overlap from the middle of texts (from position {plan.first_position} on), "
            "shuffled; no end-of-text token;",
            f"- `sequences_{plan.length}`, {counts['sequences']:,} x {plan.length}: whole texts, "
            "which the windows were not cut from; the first token is the end-of-text token.",
            "",
            "```json",
            json.dumps(record, indent=2),
            "```",
            "",
        ]
    )


if __name__ == "__main__":
    main()
