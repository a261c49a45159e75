"""Gathers a finished model, its SAEs and its prompts into the layout that the package ships.

All is gathered and checked in a folder beside the bundled one, which is replaced only then.
"""

from __future__ import annotations

import argparse
import shutil
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from model_training.bundled_check import comparison_with_held_out, faults_of

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
    """Gathers the files, refuses what does not fit, and replaces the bundled folder."""
    options = parse_arguments(arguments)
    run, target = options.run, options.to
    if target.is_symlink():
        raise SystemExit(f"{target} is a link; the files it leads to would be replaced")
    gathered = target.with_name(f".{target.name}-gathered")
    shutil.rmtree(gathered, ignore_errors=True)
    try:
        _gather(run, target, gathered)
        faults = faults_of(gathered)
        if faults:
            raise SystemExit("\n".join([*faults, f"{target} is left as it was"]))
        held_out = np.load(run / "held_out_tokens.npy", mmap_mode="r")
        with (gathered / "prompts" / "README.md").open("a", encoding="utf-8") as card:
            card.write("\n" + comparison_with_held_out(gathered, held_out))
        _replace(target, gathered)
    finally:
        shutil.rmtree(gathered, ignore_errors=True)


def _gather(run: Path, target: Path, gathered: Path) -> None:
    for name in MODEL_FILES:
        if (run / "model" / name).exists():
            _copy(run / "model" / name, gathered / "model" / name)
    for folder in sorted((run / "saes").iterdir()):
        for file in sorted(folder.iterdir()):
            _copy(file, gathered / "saes" / folder.name / file.name)
    _copy(run / "prompts" / "prompts.safetensors", gathered / "prompts" / "prompts.safetensors")
    # The bundle's own card is written by hand; the others come with their parts.
    if (target / "README.md").exists():
        _copy(target / "README.md", gathered / "README.md")
    card = (run / "prompts" / "README.md").read_text(encoding="utf-8")
    (gathered / "prompts" / "README.md").write_text(card, encoding="utf-8")


def _replace(target: Path, gathered: Path) -> None:
    former = target.with_name(f".{target.name}-former")
    shutil.rmtree(former, ignore_errors=True)
    if target.exists():
        target.rename(former)
    gathered.rename(target)
    shutil.rmtree(former, ignore_errors=True)


def _copy(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    # Not the mode: safetensors makes files that only their owner may read.
    shutil.copyfile(source, target)
    target.chmod(0o644)


if __name__ == "__main__":
    main()
