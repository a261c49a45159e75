"""Gathers a finished model, its SAEs and its prompts into the layout that the package ships."""

from __future__ import annotations

import argparse
import shutil
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from subject_training.bundled_check import comparison_with_held_out, faults_of

MODEL_FILES = (
    "config.json",
    "generation_config.json",
    "model.safetensors",
    "tokenizer.json",
    "tokenizer_config.json",
    "measures.json",
    "README.md",
)


def parse_arguments(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Reads the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run", type=Path, help="folder with model, saes, prompts, token streams")
    parser.add_argument("--to", type=Path, required=True, help="the bundled folder to fill")
    return parser.parse_args(arguments)


def main(arguments: Sequence[str] | None = None) -> None:
    """Copies the files, compares prompts with held-out text, and refuses what does not fit."""
    options = parse_arguments(arguments)
    run, target = options.run, options.to
    if target.is_symlink():
        raise SystemExit(f"{target} is a link; the files it leads to would be overwritten")
    for name in MODEL_FILES:
        if (run / "model" / name).exists():
            _copy(run / "model" / name, target / "model" / name)
    for folder in sorted((run / "saes").iterdir()):
        for file in sorted(folder.iterdir()):
            _copy(file, target / "saes" / folder.name / file.name)
    _copy(run / "prompts" / "prompts.safetensors", target / "prompts" / "prompts.safetensors")
    faults = faults_of(target)
    if faults:
        raise SystemExit("\n".join(faults))
    held_out = np.load(run / "held_out_tokens.npy", mmap_mode="r")
    card = (run / "prompts" / "README.md").read_text(encoding="utf-8")
    card += "\n" + comparison_with_held_out(target, held_out)
    (target / "prompts" / "README.md").write_text(card, encoding="utf-8")


def _copy(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    # Not the mode: safetensors makes files that only their owner may read.
    shutil.copyfile(source, target)
    target.chmod(0o644)


if __name__ == "__main__":
    main()
