"""Metrics by a name that says what they are of: the same numbers as those made in Python."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

import steppe
from steppe.core.errors import InputError
from steppe.metrics import (
    find_metrics,
    latents_changed,
    latents_l1,
    log_odds_of,
    probability_of,
    rank_of,
)
from steppe.models import Model
from steppe.study.crossings import Level

SITE, LATER = "blocks.0.hook_resid_post", "blocks.1.hook_resid_pre"


@pytest.fixture(scope="module")
def demo() -> Model:
    return steppe.load_model("demo", device="cpu")


@pytest.fixture(scope="module")
def laid(demo: Model) -> Any:
    tokens = steppe.load_prompts("demo", demo, count=6).tokens
    activations = steppe.read_residuals(demo, tokens, SITE)
    return tokens[:3], steppe.paths.relative(activations[:3], activations[3:], n_points=4)


def test_tokens_by_name_are_those_given_to_the_function(demo: Model, laid: Any) -> None:
    tokens, points = laid
    pairs = {
        "probability: the| of": probability_of([" the", " of"], demo),
        "log_odds:#300|#7": log_odds_of([300, 7], demo),
        "rank: the": rank_of(" the", demo),
    }
    named = steppe.measure(demo, tokens, SITE, points, list(pairs))
    made = steppe.measure(demo, tokens, SITE, points, list(pairs.values()))
    for name, metric in pairs.items():
        np.testing.assert_array_equal(named[name], made[metric.name])
        assert named[name].attrs["unit"] == metric.unit
    # By the model's own forward pass, at the base.
    with torch.inference_mode():
        logits = demo.hf_model(torch.from_numpy(np.array(tokens))).logits[:, -1].double()
    (the,) = demo.tokenizer(" the")["input_ids"]  # type: ignore[misc]
    (of,) = demo.tokenizer(" of")["input_ids"]  # type: ignore[misc]
    expected = logits.softmax(-1)[:, [the, of]].sum(-1)
    np.testing.assert_allclose(named["probability: the| of"][:, 0], expected, rtol=1e-4)


def test_latents_by_name_are_read_at_the_saes_own_site(demo: Model, laid: Any) -> None:
    tokens, points = laid
    sae = steppe.load_sae("demo", model=demo)
    assert sae.hook_name == LATER
    for make, kind in ((latents_changed, "latents_changed"), (latents_l1, "latents_l1")):
        named = steppe.measure(demo, tokens, SITE, points, [f"{kind}:demo"])[f"{kind}:demo"]
        made = steppe.measure(demo, tokens, SITE, points, [make(sae)])[kind]
        np.testing.assert_array_equal(named, made)
        assert float(named.max()) > 0


def test_a_crossing_of_latents_by_name(demo: Model, laid: Any) -> None:
    tokens, points = laid
    ways = points[:, -1] - points[:, 0]
    found = [
        steppe.crossings(demo, tokens, SITE, ways, level=Level(5.0, metric))["crossing"]
        for metric in ("latents_l1:demo", latents_l1(steppe.load_sae("demo", model=demo)))
    ]
    np.testing.assert_array_equal(*found)


def test_a_slash_is_no_folder_in_the_store() -> None:
    assert find_metrics(["rank:/"])[0].name == r"rank:\x2f"


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("probability:", "nothing after it"),
        ("probability: a||b", "an empty token"),
        ("rank: a| b", "2 tokens"),
        ("rank: the cat sat", "3 tokens"),
        ("rank:#99999999", "id 99999999"),
        ("probability: the| the", "each once"),
        ("latents_changed:/absent/sae", "/absent/sae"),
        ("latents_changed", "did you mean|expected"),
        ("latent_changed:demo", "latent_changed:demo"),
    ],
)
def test_what_is_no_metric_is_refused(demo: Model, laid: Any, name: str, told: str) -> None:
    with pytest.raises(InputError, match=told):
        steppe.measure(demo, laid[0], SITE, laid[1], [name])


def test_an_sae_of_an_earlier_site_is_refused(demo: Model) -> None:
    tokens = steppe.load_prompts("demo", demo, count=2).tokens
    points = steppe.read_residuals(demo, tokens, "blocks.3.hook_resid_post")[:, None]
    with pytest.raises(InputError, match=r"blocks\.1\.hook_resid_pre"):
        steppe.measure(demo, tokens, "blocks.3.hook_resid_post", points, ["latents_l1:demo"])
