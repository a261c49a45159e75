"""The bundled model is whole, small enough, and its main SAE fits it."""

from __future__ import annotations

import pytest
import torch

import steppe
from steppe.core.bundled import demo_folder, demo_saes
from steppe.models import Model
from steppe.sae import quality

MEGABYTE = 1_000_000


@pytest.fixture(scope="module")
def demo() -> Model:
    return steppe.load_model("demo", device="cpu")


def test_it_is_a_deep_enough_gpt2(demo: Model) -> None:
    assert demo.anatomy.family == "gpt2"
    assert demo.n_layers >= 6
    assert demo.tokenizer is not None
    assert demo.identity.source == "bundled"
    assert 2000 <= demo.d_vocab <= 8192


def test_its_files_stay_small() -> None:
    sizes = [path.stat().st_size for path in demo_folder().rglob("*") if path.is_file()]
    assert max(sizes) <= 45 * MEGABYTE
    assert sum(sizes) <= 60 * MEGABYTE


def test_its_prompts(demo: Model) -> None:
    windows = steppe.load_prompts("demo", demo, length=10).tokens
    sequences = steppe.load_prompts("demo", demo, length=128).tokens
    assert windows.shape[0] >= 40_000
    assert sequences.shape == (1000, 128)
    assert (sequences[:, 0] == demo.bos_token_id).all()
    assert not (windows == demo.bos_token_id).any()
    distinct = {row.tobytes() for row in windows}
    assert len(distinct) > 0.99 * len(windows)


def test_its_main_sae_reconstructs_its_activations(demo: Model) -> None:
    sae = steppe.load_sae("demo", model=demo)
    assert sae.d_sae >= 8 * demo.d_model
    assert sae.log10_rates is not None
    windows = steppe.load_prompts("demo", demo, length=10).tokens[:1000]
    activations = steppe.read_residuals(demo, windows, steppe.Site.parse(str(sae.hook_name)))
    found = quality(sae, activations)
    assert found.explained_variance >= 0.90
    assert 15 <= found.mean_l0 <= 40
    assert float((sae.log10_rates <= -9).float().mean()) < 0.10


def test_its_middle_saes_have_the_sparsity_of_their_names(demo: Model) -> None:
    place = f"blocks.{demo.n_layers // 2}.hook_resid_pre"
    tokens = steppe.load_prompts("demo", demo, length=128).tokens[:400]
    activations = steppe.read_residuals(demo, tokens, steppe.Site.parse(place))
    wanted = {"l0-8": 8, "l0-16": 16, "l0-32": 32, "l0-64": 64, "e2e": 32, "e2e-ds": 32}
    for name, count in wanted.items():
        sae = steppe.load_sae(f"demo/{place}-{name}", model=demo)
        assert quality(sae, activations).mean_l0 == pytest.approx(count, rel=0.2)


def test_every_bundled_sae_belongs_to_it(demo: Model) -> None:
    for folder in demo_saes():
        sae = steppe.load_sae(folder, model=demo)
        assert torch.isfinite(sae.W_dec).all()


def test_its_text_reads_as_english_to_it(demo: Model) -> None:
    assert demo.tokenizer is not None
    ids = demo.tokenizer("It was the middle of the night, and the old man could not sleep.")
    tokens = torch.tensor([ids["input_ids"]])
    with torch.inference_mode():
        loss = demo.hf_model(input_ids=tokens, labels=tokens).loss
    assert float(loss) < 6.0
