"""The three commands, one after the other, from a made-up text to a bundled layout."""

from __future__ import annotations

import json

import pytest
import torch
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM, AutoTokenizer

import bundle
import sample_prompts
import train_model
import train_saes
from subject_training.bundled_check import faults_of

WIDTH = 32
MODEL_SIZE = "--layers 2 --width 32 --heads 2 --vocabulary 300 --window 16"
MODEL_RUN = "--microbatch 8 --tokens 8192 --warm-up 1000 --evaluate-every 20"
SAE_SIZE = "--main-latents 96 --main-active 6 --middle-latents 64 --end-to-end-active 6"
SAE_RUN = "--middle-active 3 6 --batch-tokens 256 --tokens 8192 --held-out-tokens 1000"
PROMPTS = "--windows 40 --window 5 --sequences 6 --length 16 --batch 20"


@pytest.fixture(scope="module")
def trained(tmp_path_factory, text_files):
    folder = tmp_path_factory.mktemp("trained")
    texts = ["--text", str(text_files["train"]), "--held-out", str(text_files["held_out"])]
    out, model = ["--out", str(folder)], str(folder / "model")
    train_model.main([*texts, *out, "--no-compile", *MODEL_SIZE.split(), *MODEL_RUN.split()])
    train_saes.main([model, *texts, *out, *SAE_SIZE.split(), *SAE_RUN.split()])
    sample_prompts.main([model, "--out", str(folder / "prompts"), *PROMPTS.split()])
    bundle.main([str(folder), "--to", str(folder / "bundled")])
    return folder


def test_model_folder_loads_and_has_learned(trained) -> None:
    model = AutoModelForCausalLM.from_pretrained(trained / "model", dtype=torch.float32)
    tokenizer = AutoTokenizer.from_pretrained(trained / "model")
    assert tokenizer.bos_token_id == tokenizer.eos_token_id == 0
    assert model.config.n_layer == 2
    assert tokenizer.decode(tokenizer.encode("balo ri.\n\nmun")) == "balo ri.\n\nmun"
    log = [json.loads(line) for line in (trained / "model_log.jsonl").read_text().splitlines()]
    losses = [line["held_out_loss"] for line in log if "held_out_loss" in line]
    assert losses[-1] < losses[0]


def test_model_card_states_loss_beside_the_baseline(trained) -> None:
    card = (trained / "model" / "README.md").read_text()
    measures = json.loads((trained / "model" / "measures.json").read_text())
    assert f"{measures['model']['nats_per_token']:.4f}" in card
    assert f"{measures['five_gram']['nats_per_byte']:.4f}" in card
    assert str(trained) not in card


@pytest.mark.parametrize("name", ["", "-l0-3", "-l0-6", "-e2e", "-e2e-ds"])
def test_sae_folder_holds_what_readers_expect(trained, name) -> None:
    folder = trained / "saes" / f"blocks.1.hook_resid_pre{name}"
    config = json.loads((folder / "cfg.json").read_text())
    weights = load_file(folder / "sae_weights.safetensors")
    latents = 64 if name else 96
    assert config["architecture"] == "jumprelu"
    assert (config["d_in"], config["d_sae"]) == (WIDTH, latents)
    assert config["metadata"]["hook_name"] == "blocks.1.hook_resid_pre"
    assert {key: tuple(tensor.shape) for key, tensor in weights.items()} == {
        "W_enc": (WIDTH, latents),
        "b_enc": (latents,),
        "W_dec": (latents, WIDTH),
        "b_dec": (WIDTH,),
        "threshold": (latents,),
    }
    decoder = weights["W_dec"].float()
    torch.testing.assert_close(decoder.norm(dim=1), torch.ones(latents), rtol=2e-3, atol=0)
    assert decoder.mean(1).abs().max() < 1e-3
    sparsity = load_file(folder / "sparsity.safetensors")["sparsity"]
    assert sparsity.shape == (latents,)
    assert sparsity.dtype == torch.float32
    assert sparsity.max() <= 0
    assert "explained variance" in (folder / "README.md").read_text()


def test_main_sae_reconstructs(trained) -> None:
    measures = json.loads(
        (trained / "saes" / "blocks.1.hook_resid_pre" / "measures.json").read_text()
    )
    assert measures["windows_of_16"]["explained_variance"] > 0.5
    assert 2 < measures["windows_of_16"]["l0"] < 12
    assert measures["loss"]["substituted"] < measures["loss"]["mean_ablated"] + 0.5


def test_prompts(trained) -> None:
    prompts = load_file(trained / "prompts" / "prompts.safetensors")
    assert prompts["windows_5"].shape[0] >= 40
    assert prompts["windows_5"].dtype == torch.int32
    assert (prompts["windows_5"] > 0).all()
    assert prompts["sequences_16"].shape == (6, 16)
    assert (prompts["sequences_16"][:, 0] == 0).all()


def test_bundle_holds_every_part_and_compares_prompts_with_text(trained) -> None:
    bundled = trained / "bundled"
    assert faults_of(bundled) == []
    assert len(list(bundled.glob("saes/*/sparsity.safetensors"))) == 5
    assert "| explained variance" in (bundled / "prompts" / "README.md").read_text()


def test_bundle_of_parts_that_do_not_belong_together_is_refused(trained) -> None:
    bundled = trained / "mixed"
    bundle.main([str(trained), "--to", str(bundled)])
    with (bundled / "model" / "model.safetensors").open("ab") as file:
        file.write(b" ")
    assert len(faults_of(bundled)) == 6
