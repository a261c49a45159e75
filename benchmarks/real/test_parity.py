"""Suffix against full forward pass on pretrained models; `make test-real` runs it.

Models that were not fetched are skipped. `make test` needs none of this.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import torch

import steppe
from steppe.core.fetched import MODELS, NOTE, models_folder
from steppe.models import Model
from steppe.models.bos import choose_bos
from steppe.propagation import self_check

TEXTS = [
    "The capital of France is",
    "She opened the letter slowly, and",
    "def add(a, b):\n    return",
]


@pytest.fixture(scope="module", params=list(MODELS))
def name(request: pytest.FixtureRequest) -> str:
    """A model that was fetched."""
    if not (models_folder() / request.param / NOTE).is_file():
        pytest.skip(f"steppe fetch {request.param}")
    return str(request.param)


@pytest.fixture(scope="module", params=["float32", "bfloat16"])
def model(name: str, request: pytest.FixtureRequest) -> Model:
    """It, in one of the number formats."""
    return steppe.load_model(name, dtype=request.param, device="cpu")


@pytest.mark.parametrize("place", ["first", "middle", "last"])
def test_suffix_against_full_forward(model: Model, place: str) -> None:
    layer = {"first": 0, "middle": model.n_layers // 2, "last": model.n_layers - 1}[place]
    check = self_check(model, f"blocks.{layer}.hook_resid_pre", 40)
    assert check.passed, check.details


def test_curves_equal_a_plain_forward_pass(model: Model) -> None:
    tokens = torch.tensor([model.tokenizer(TEXTS[1]).input_ids])  # type: ignore[misc]
    site, layer = "blocks.2.hook_resid_pre", 2
    base = steppe.read_residuals(model, tokens, site)
    points = base + torch.linspace(0, 1, 4)[:, None] * base.flip(-1)
    curves = steppe.metrics.measure(model, tokens, site, points[None], ["l2"])
    last: list[torch.Tensor] = []
    moved: list[torch.Tensor] = []
    blocks = model.anatomy.blocks

    def replaced(_module: object, args: tuple[torch.Tensor, ...]) -> tuple[torch.Tensor, ...]:
        stream = args[0].clone()
        stream[:, -1] = moved[-1].to(stream)
        return (stream, *args[1:])

    def keep(_module: object, _args: object, output: object) -> None:
        stream = output[0] if isinstance(output, tuple) else output
        last.append(stream[0, -1].float())  # type: ignore[index]

    handles = [
        blocks[layer].register_forward_pre_hook(replaced),
        blocks[-1].register_forward_hook(keep),
    ]
    with torch.inference_mode():
        for point in points:
            moved.append(point)
            model.hf_model(input_ids=tokens, use_cache=False)
    for handle in handles:
        handle.remove()
    expected = torch.stack([(one - last[0]).norm() for one in last])
    found = torch.as_tensor(curves["l2"].values).flatten()
    tolerance = 1e-3 if model.dtype == torch.float32 else 5e-2
    torch.testing.assert_close(found, expected, rtol=tolerance, atol=tolerance * expected.max())


def test_bos_and_chat_template(model: Model) -> None:
    tokenizer = model.tokenizer
    assert tokenizer is not None
    chosen = choose_bos("auto", model)
    assert chosen.is_added == (tokenizer("a text").input_ids[0] == model.bos_token_id)
    if tokenizer.chat_template:
        messages = [{"role": "user", "content": TEXTS[0]}]
        text = tokenizer.apply_chat_template(messages, tokenize=False)
        ids = torch.tensor([tokenizer(text, add_special_tokens=False).input_ids])
        assert steppe.read_residuals(model, ids, "blocks.1.hook_resid_pre").isfinite().all()


def test_sensible_completion(name: str) -> None:
    model = steppe.load_model(name, device="cpu")
    assert model.tokenizer is not None
    ids = model.tokenizer(TEXTS[0], return_tensors="pt").input_ids
    with torch.inference_mode():
        likeliest = model.hf_model(ids).logits[0, -1].topk(5).indices
    assert any("Paris" in model.tokenizer.decode(token) for token in likeliest)


_BUDGET = 128 * 2**20
_MEASURED = """
import sys, threading, time
import torch
import steppe
from steppe.propagation import set_memory_budget

def held():
    rows = dict(line.split(":") for line in open("/proc/self/status") if "Rss" in line)
    return int(rows["RssAnon"].split()[0]) * 1024

model = steppe.load_model(sys.argv[1], device="cpu")
site = f"blocks.{model.n_layers - 1}.hook_resid_pre"
tokens = torch.arange(100, 108)[None]
base = steppe.read_residuals(model, tokens, site)
points = base + torch.linspace(0, 1, int(sys.argv[3]))[:, None] * base.flip(-1)
set_memory_budget(int(sys.argv[2]))
steppe.measure(model, tokens, site, points[None, :2], ["kl"])
before, peak, done = held(), 0, False

def watch():
    global peak
    while not done:
        peak = max(peak, held())
        time.sleep(0.002)

thread = threading.Thread(target=watch)
thread.start()
curve = steppe.measure(model, tokens, site, points[None], ["kl"])["kl"].values[0]
done = True
thread.join()
few = steppe.measure(model, tokens, site, points[None, :2], ["kl"])["kl"].values[0]
print(peak - before, float(abs(curve[:2] - few).max()), float(curve.max()))
"""


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="no such file here")
def test_a_large_vocabulary_keeps_to_the_memory_budget(name: str) -> None:
    """Logits of all these points at once would take the budget several times over."""
    points = 1000
    vocabulary = steppe.load_model(name, device="cpu").hf_model.get_output_embeddings().out_features
    assert points * vocabulary * 4 > _BUDGET
    command = [sys.executable, "-c", _MEASURED, name, str(_BUDGET), str(points)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    taken, difference, largest = map(float, done.stdout.split())
    assert taken < 1.1 * _BUDGET
    assert difference < 1e-4 * largest
