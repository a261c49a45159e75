"""steppe on plain transformers weights against TransformerLens with its default processing."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import transformers
from benchmarks.curve_cost.ways import lens_of
from torch import Tensor

from steppe.core.sites import Site
from steppe.metrics import CATALOGUE
from steppe.models import Model, load_model
from steppe.propagation import propagate, read_residuals

pytestmark = [
    pytest.mark.parity,
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::FutureWarning"),
    pytest.mark.filterwarnings("ignore::UserWarning"),
]

SITE = Site.parse("blocks.1.hook_resid_pre")
LAST = "blocks.last.hook_resid_post"


@pytest.fixture(scope="module")
def hf_model() -> Any:
    config = transformers.GPT2Config(
        n_layer=4,
        n_embd=48,
        n_head=4,
        vocab_size=211,
        n_positions=32,
        bos_token_id=0,
        eos_token_id=0,
    )
    torch.manual_seed(0)
    hf_model = transformers.GPT2LMHeadModel(config)
    with torch.no_grad():
        for parameter in hf_model.parameters():
            # Gains, biases and means that matter: a fresh GPT-2's are 1, 0 and small.
            parameter.mul_(2.0).add_(0.05 * torch.randn_like(parameter))
    return hf_model.eval()


@pytest.fixture(scope="module")
def lens(hf_model: Any) -> Any:
    return lens_of(load_model(hf_model))


@pytest.fixture(scope="module")
def model(hf_model: Any) -> Model:
    return load_model(hf_model)


@pytest.fixture(scope="module")
def tokens() -> Tensor:
    return torch.randint(0, 211, (3, 10), generator=torch.Generator().manual_seed(1))


def lens_outputs(lens: Any, tokens: Tensor, points: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Last residual stream, its normalised form and logits, one prompt's points as one batch."""
    kept = {}

    def place(value: Tensor, hook: Any) -> Tensor:
        value = value.clone()
        value[:, -1] = points
        return value

    def keep(value: Tensor, hook: Any) -> None:
        kept[hook.name] = value[:, -1]

    hooks = [(SITE.name, place), ("blocks.3.hook_resid_post", keep)]
    hooks.append(("ln_final.hook_normalized", keep))
    with torch.no_grad():
        logits = lens.run_with_hooks(tokens.expand(len(points), -1), fwd_hooks=hooks)
    return kept["blocks.3.hook_resid_post"], kept["ln_final.hook_normalized"], logits[:, -1]


def worst(found: Tensor, expected: Tensor) -> float:
    return float((found - expected).abs().max() / expected.abs().max())


def test_residuals_agree_in_centred_coordinates(model: Model, lens: Any, tokens: Tensor) -> None:
    with torch.no_grad():
        _, cache = lens.run_with_cache(tokens)
    for layer in range(4):
        for point in ("resid_pre", "resid_post"):
            name = f"blocks.{layer}.hook_{point}"
            found = read_residuals(model, tokens, Site.parse(name, "all"))
            assert worst(found, cache[name]) < 1e-5, name
    found = read_residuals(model, tokens, Site.parse("ln_final.hook_normalized", "all"))
    assert worst(found, cache["ln_final.hook_normalized"]) < 1e-5


def test_curves_along_a_path_agree(model: Model, lens: Any, tokens: Tensor) -> None:
    base = read_residuals(model, tokens, SITE)
    target = base.roll(1, dims=0)
    steps = torch.linspace(0.0, 1.0, 41)[None, :, None]
    points = base[:, None] + steps * (target - base)[:, None]
    reads = [LAST, "ln_final.hook_normalized"]
    ours = propagate(model, tokens, SITE, points, read=reads, logits=True)
    assert ours.logits is not None
    for prompt in range(len(tokens)):
        residual, normalised, logits = lens_outputs(lens, tokens[prompt], points[prompt])
        assert worst(ours.residuals[LAST][prompt], residual) < 1e-5
        assert worst(ours.residuals[reads[1]][prompt], normalised) < 1e-5
        l2 = CATALOGUE["l2"].measure(ours.residuals[LAST][prompt])
        expected_l2 = (residual - residual[0]).norm(dim=-1)
        torch.testing.assert_close(l2, expected_l2, rtol=1e-4, atol=1e-5)
        kl = CATALOGUE["kl"].measure(ours.logits[prompt]).double()
        log_p = logits.double().log_softmax(-1)
        expected_kl = (log_p[0].exp() * (log_p[0] - log_p)).sum(-1)
        assert float(expected_kl.max()) > 0.1, "the path must move the distribution"
        assert worst(kl, expected_kl) < 1e-4
