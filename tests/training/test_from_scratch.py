"""The three commands, one after the other, from a made-up text to a bundled layout."""

from __future__ import annotations

import json
import shutil

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM, AutoTokenizer

import bundle
import sample_prompts
import train_model
import train_saes
from model_training import bundled_check
from model_training.bundled_check import faults_of
from steppe.core.bundled import demo_folder

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


@pytest.mark.parametrize("name", ["", "-e2e", "-e2e-ds"])
def test_sae_card_says_what_was_optimised_and_on_how_much_it_is_measured(trained, name) -> None:
    folder = trained / "saes" / f"blocks.1.hook_resid_pre{name}"
    card = (folder / "README.md").read_text()
    tokens = json.loads((folder / "measures.json").read_text())["loss"]["tokens"]
    assert tokens % 16 == 0
    assert f"(over {tokens:,} tokens)" in card
    assert ("batch top-k holds L0" in card) == bool(name)
    assert ("in units of that layer's variance, weight 1." in card) == (name == "-e2e-ds")


def test_prompts(trained) -> None:
    prompts = load_file(trained / "prompts" / "prompts.safetensors")
    assert prompts["windows_5"].shape[0] >= 40
    assert prompts["windows_5"].dtype == torch.int32
    assert (prompts["windows_5"] > 0).all()
    assert prompts["sequences_16"].shape == (6, 16)
    assert (prompts["sequences_16"][:, 0] == 0).all()
    text = (trained / "prompts" / "prompts_log.jsonl").read_text()
    log = [json.loads(line) for line in text.splitlines()]
    assert [line["batch"] for line in log] == list(range(len(log)))
    assert all(0 < line["nats_per_token"] < 6 for line in log)


def test_bundle_holds_every_part_and_compares_prompts_with_text(trained) -> None:
    bundled = trained / "bundled"
    assert faults_of(bundled) == []
    assert len(list(bundled.glob("saes/*/sparsity.safetensors"))) == 5
    assert "| explained variance" in (bundled / "prompts" / "README.md").read_text()


def test_bundle_keeps_its_own_card_and_drops_what_the_run_no_longer_has(trained) -> None:
    bundled = trained / "again"
    (bundled / "saes" / "former").mkdir(parents=True)
    (bundled / "README.md").write_text("by hand", encoding="utf-8")
    bundle.main([str(trained), "--to", str(bundled)])
    assert (bundled / "README.md").read_text() == "by hand"
    assert not (bundled / "saes" / "former").exists()
    assert [path.name for path in trained.glob(".again*")] == []


@pytest.mark.parametrize("fault", ["other model", "unreadable SAE", "too large"])
def test_what_does_not_fit_is_not_bundled(trained, tmp_path, monkeypatch, fault) -> None:
    run, bundled = tmp_path / "run", tmp_path / "bundled"
    for part in ("model", "saes", "prompts"):
        shutil.copytree(trained / part, run / part)
    (bundled / "model").mkdir(parents=True)
    told = "bytes in all"
    if fault == "other model":
        weights = load_file(run / "model" / "model.safetensors")
        weights["transformer.ln_f.bias"] += 1
        save_file(weights, run / "model" / "model.safetensors", metadata={"format": "pt"})
        told = "trained on another model(.|\n)*sampled from another model"
    elif fault == "unreadable SAE":
        (run / "saes" / "blocks.1.hook_resid_pre-e2e" / "sae_weights.safetensors").write_text("-")
        told = "cannot be read"
    else:
        monkeypatch.setattr(bundled_check, "LARGEST_FOLDER", 100_000)
    with pytest.raises(SystemExit, match=told):
        bundle.main([str(run), "--to", str(bundled)])
    assert [path.name for path in bundled.iterdir()] == ["model"]
    assert [path.name for path in tmp_path.glob(".*")] == []


def test_prompts_that_the_model_cannot_read_are_told(trained, tmp_path) -> None:
    bundled = tmp_path / "bundled"
    shutil.copytree(trained / "bundled", bundled)
    path = bundled / "prompts" / "prompts.safetensors"
    with safe_open(path, framework="pt") as file:
        record = file.metadata()
    prompts = load_file(path)
    prompts["windows_5"][0, 0] = 300
    prompts["sequences_16"] = prompts["sequences_16"].repeat(1, 2)
    save_file(prompts, path, metadata=record)
    faults = faults_of(bundled)
    assert len(faults) == 2
    assert "windows_5 has ids outside of the model's 300 tokens" in faults
    assert "sequences_16 is longer than the model's 16 positions" in faults


def test_the_shipped_folder_has_no_fault() -> None:
    assert faults_of(demo_folder()) == []
