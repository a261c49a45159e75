"""A tiny model, SAE and prompts in the formats users have them in, built in code."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from matplotlib.figure import Figure
from safetensors.torch import save_file
from transformers import GPT2Config, GPT2LMHeadModel

D_MODEL, D_SAE, VOCABULARY, LAYERS = 16, 128, 64, 3


@dataclass(frozen=True)
class TinyFiles:
    """Paths of a tiny model, its SAE, and 400 pre-tokenised prompts."""

    model: Path
    sae: Path
    prompts: Path


@pytest.fixture(scope="session")
def tiny_files(tmp_path_factory: pytest.TempPathFactory) -> TinyFiles:
    folder = tmp_path_factory.mktemp("tiny")
    model = folder / "model"
    tiny_model().save_pretrained(model)
    sae = folder / "sae"
    write_sae(sae)
    prompts = folder / "prompts.jsonl"
    rows = np.random.default_rng(0).integers(0, VOCABULARY, size=(400, 12)).tolist()
    prompts.write_text("\n".join(json.dumps({"input_ids": row}) for row in rows) + "\n")
    return TinyFiles(model, sae, prompts)


@pytest.fixture(scope="session")
def run_snippets() -> Callable[[str, int, Path], dict[str, Any]]:
    """Runs the Python snippets of a page of docs/, one after the other, as they stand.

    Given are the page, how many snippets it has, and what they call ``FOLDER``; what they define
    comes back.
    """

    def run(page: str, count: int, folder: Path) -> dict[str, Any]:
        text = (Path(__file__).resolve().parents[1] / "docs" / page).read_text(encoding="utf-8")
        blocks = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
        assert len(blocks) == count
        defined: dict[str, Any] = {"FOLDER": folder}
        for number, block in enumerate(blocks, start=1):
            exec(compile(block, f"{page}, snippet {number}", "exec", dont_inherit=True), defined)
        return defined

    return run


@pytest.fixture(scope="session")
def texts_outside() -> Callable[[Figure], list[str]]:
    """Gives the titles, labels and legends of a figure that do not lie inside of it."""

    def outside(figure: Figure) -> list[str]:
        figure.draw_without_rendering()
        texts = [*figure.texts, *(text for one in figure.legends for text in one.get_texts())]
        # Where texts of a surface are is not known before it is drawn.
        for ax in (ax for ax in figure.axes if ax.name != "3d"):
            # A title at the left is another artist than one in the middle.
            texts += [ax.title, ax._left_title, ax.xaxis.label, ax.yaxis.label, *ax.texts]
        box = figure.bbox
        shown = [(text, text.get_window_extent()) for text in texts if text.get_text().strip()]
        return [
            text.get_text()
            for text, at in shown
            if not (box.x0 <= at.x0 <= at.x1 <= box.x1 and box.y0 <= at.y0 <= at.y1 <= box.y1)
        ]

    return outside


@pytest.fixture(scope="session")
def sharp_gpt2() -> GPT2LMHeadModel:
    """A GPT-2 of random weights whose output turns within a short way."""
    torch.manual_seed(0)
    config = GPT2Config(
        n_layer=3, n_embd=24, n_head=2, vocab_size=89, n_positions=32,
        initializer_range=0.3, bos_token_id=0, eos_token_id=0,
    )  # fmt: skip
    return GPT2LMHeadModel(config).eval()


def tiny_model() -> GPT2LMHeadModel:
    """A GPT-2 of random weights, large enough that its curves are no straight lines."""
    torch.manual_seed(0)
    config = GPT2Config(
        vocab_size=VOCABULARY, n_positions=32, n_embd=D_MODEL, n_layer=LAYERS, n_head=2,
        initializer_range=0.4, bos_token_id=0, eos_token_id=0,
    )  # fmt: skip
    return GPT2LMHeadModel(config).eval()


def write_sae(folder: Path) -> None:
    """A random SAE at blocks.1.hook_resid_pre in SAELens' v6 format, with firing rates."""
    generator = torch.Generator().manual_seed(1)
    decoder = torch.randn(D_SAE, D_MODEL, generator=generator)
    decoder -= decoder.mean(dim=1, keepdim=True)
    decoder /= decoder.norm(dim=1, keepdim=True)
    rates = torch.rand(D_SAE, generator=generator) * 0.2 + 1e-3
    folder.mkdir()
    save_file(
        {
            "W_enc": decoder.T.contiguous(),
            "b_enc": torch.full((D_SAE,), -0.8),
            # As many rows in so few dimensions add up to three times the activation.
            "W_dec": decoder / 3,
            "b_dec": torch.zeros(D_MODEL),
        },
        folder / "sae_weights.safetensors",
    )
    save_file({"sparsity": torch.log10(rates)}, folder / "sparsity.safetensors")
    settings = {
        "architecture": "standard", "d_in": D_MODEL, "d_sae": D_SAE, "dtype": "float32",
        "device": "cpu", "apply_b_dec_to_input": True, "normalize_activations": "none",
        "reshape_activations": "none",
        "metadata": {"sae_lens_version": "6.54.12", "hook_name": "blocks.1.hook_resid_pre"},
    }  # fmt: skip
    (folder / "cfg.json").write_text(json.dumps(settings))


@pytest.fixture
def no_report(monkeypatch: pytest.MonkeyPatch) -> None:
    """Runs without tables and figures, which take longest: for tests of what is measured."""
    monkeypatch.setattr("steppe.execution.computing._report", lambda _study, _part: True)
