"""A made-up text, and the training folder on the import path."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

TRAINING = Path(__file__).parents[2] / "training"
sys.path.insert(0, str(TRAINING))


def made_up_text(words: int, seed: int) -> str:
    """Returns sentences of made-up words with Zipf-like frequencies, in two books."""
    generator = np.random.default_rng(seed)
    syllables = ["ba", "lo", "ri", "mun", "te", "sa", "ko", "vel"]
    lexicon = ["".join(generator.choice(syllables, size=2)) for _ in range(60)]
    ranks = 1 / np.arange(1, len(lexicon) + 1)
    chosen = generator.choice(lexicon, size=words, p=ranks / ranks.sum())
    lines = [" ".join(chosen[start : start + 9]) + "." for start in range(0, words, 9)]
    half = len(lines) // 2
    return "\n\n".join(lines[:half]) + "\n\f\n" + "\n\n".join(lines[half:])


@pytest.fixture(scope="session")
def text_files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Training and held-out text files."""
    folder = tmp_path_factory.mktemp("text")
    files = {"train": folder / "train.txt", "held_out": folder / "held_out.txt"}
    files["train"].write_text(made_up_text(6000, seed=0), encoding="utf-8")
    files["held_out"].write_text(made_up_text(2500, seed=0), encoding="utf-8")
    return files
