"""SAEs are trained on any model in the hub's format, in the coordinates that steppe reads it in."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from torch import Tensor
from transformers import GPT2Config, GPT2LMHeadModel, LlamaConfig, LlamaForCausalLM

import train_saes
from model_training.corpus import read_books, train_tokenizer
from model_training.hub_model import OUTLIER, HubModel
from steppe.models import load_model
from steppe.propagation import read_residuals
from steppe.sae import load_sae

TOKENS = torch.arange(3 * 9).reshape(3, 9) * 7 % 60
SITE = "blocks.2.hook_resid_pre"


def saved(folder: Path, family: str, vocabulary: int = 60) -> Path:
    torch.manual_seed(0)
    if family == "gpt2":
        sizes = GPT2Config(n_embd=16, n_layer=3, n_head=2, vocab_size=vocabulary, n_positions=40)
        GPT2LMHeadModel(sizes).save_pretrained(folder)
    else:
        LlamaForCausalLM(
            LlamaConfig(
                hidden_size=16,
                intermediate_size=24,
                num_hidden_layers=3,
                num_attention_heads=2,
                vocab_size=vocabulary,
                max_position_embeddings=40,
                initializer_range=0.3,
            )
        ).save_pretrained(folder)
    return folder


@pytest.mark.parametrize(("family", "is_centred"), [("gpt2", True), ("llama", False)])
def test_its_streams_and_outputs_are_the_models_own(tmp_path, family, is_centred) -> None:
    folder = saved(tmp_path / "model", family)
    model = HubModel.load(folder, "cpu", torch.float32)
    stream = model.before(2, TOKENS)
    assert model.is_centred is is_centred
    read = read_residuals(load_model(folder, device="cpu"), TOKENS, SITE)
    torch.testing.assert_close(stream[:, -1], read)
    later, logits = model.onwards(2, stream)
    with torch.inference_mode():
        expected = model.model.hf_model(TOKENS).logits
    torch.testing.assert_close(logits, expected, rtol=1e-4, atol=1e-5)
    assert [part.shape for part in later] == [(3, 9, 16)]
    # What came before does not return: another stream gives another output.
    assert not torch.allclose(model.onwards(2, stream * 1.5)[1], expected, atol=1e-3)


def test_first_positions_and_massive_activations_do_not_count(tmp_path) -> None:
    model = HubModel.load(saved(tmp_path / "model", "llama"), "cpu", torch.float32)
    stream = torch.ones(2, 6, 16)
    stream[1, 3] *= OUTLIER * 1.01
    stream[0, 4] *= OUTLIER * 0.99
    expected = torch.ones(2, 6, dtype=torch.bool)
    expected[:, 0] = False
    expected[1, 3] = False
    assert torch.equal(model.ordinary(1, TOKENS, stream), expected)
    # The limit is the first batch's, so that a resumed run leaves out the same.
    assert not model.ordinary(1, TOKENS, stream * 10).any()


@pytest.fixture
def folder(tmp_path: Path, text_files: dict[str, Path]) -> Path:
    model = saved(tmp_path / "small-llama", "llama", 300)
    tokenizer = train_tokenizer(read_books(text_files["train"]), 300)
    tokenizer.save(str(model / "tokenizer.json"))
    return model


def train(model: Path, text_files: dict[str, Path], out: Path, *more: str) -> None:
    train_saes.main(
        [
            str(model),
            "--text",
            str(text_files["train"]),
            "--held-out",
            str(text_files["held_out"]),
            "--out",
            str(out),
            "--tokens",
            "6400",
            "--batch-tokens",
            "128",
            "--held-out-tokens",
            "400",
            "--latents",
            "48",
            *more,
        ]
    )


def test_a_site_of_a_hub_folder(folder, text_files, tmp_path) -> None:
    train(folder, text_files, tmp_path / "out", "--site", SITE, "--active", "3", "6")
    for active in (3, 6):
        place = tmp_path / "out" / "saes" / f"{SITE}-l0-{active}"
        sae = load_sae(str(place))
        assert (sae.config.hook_name, sae.d_sae) == (SITE, 48)
        metadata = json.loads((place / "cfg.json").read_text())["metadata"]
        assert metadata["model_name"] == "small-llama"
        assert metadata["coordinates"] == "raw"
        measures = json.loads((place / "measures.json").read_text())
        assert measures["windows_of_10"]["l0"] == pytest.approx(active, rel=0.5)
        assert measures["loss"]["substituted"] != measures["loss"]["original"]
        held = model_activations(folder, text_files)
        error = (held - sae.decode(sae.encode(held))).square().sum()
        assert error < 0.8 * (held - held.mean(0)).square().sum()
        card = (place / "README.md").read_text()
        assert "raw activations" in card
        assert "bfloat16 on disk" in card


def model_activations(folder: Path, text_files: dict[str, Path]) -> Tensor:
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    ids = tokenizer.encode(read_books(text_files["held_out"])[0]).ids[:320]
    model = HubModel.load(folder, "cpu", torch.float32)
    return model.before(2, torch.tensor(ids).reshape(-1, 32))[:, 1:].flatten(0, 1)


@pytest.mark.parametrize("site", ["blocks.9.hook_resid_pre", "blocks.1.hook_mlp_out", "nowhere"])
def test_a_site_that_is_none_is_told(folder, text_files, tmp_path, site) -> None:
    with pytest.raises(SystemExit, match=r"expected blocks\.LAYER\.hook_resid_pre, LAYER below 3"):
        train(folder, text_files, tmp_path / "out", "--site", site)
