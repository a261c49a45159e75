"""The same points by steppe and by plain hooks; a library that cannot do it says why."""

from __future__ import annotations

import json
from typing import Any

import pytest
from benchmarks.curve_cost import SHAPES
from transformers import GPT2Config, LlamaConfig

from benchmarks import peers

TINY = {
    "gpt2": lambda: GPT2Config(
        n_layer=3, n_embd=24, n_head=2, vocab_size=89, n_positions=512,
        bos_token_id=0, eos_token_id=0,
    ),
    "llama": lambda: LlamaConfig(
        hidden_size=24, num_hidden_layers=3, num_attention_heads=2, intermediate_size=48,
        vocab_size=89, max_position_embeddings=512,
    ),
}  # fmt: skip


@pytest.fixture(autouse=True)
def _tiny_shapes(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, config in TINY.items():
        monkeypatch.setitem(SHAPES, name, config)


@pytest.mark.parametrize("shape", TINY)
@pytest.mark.parametrize("length", peers.BATCH)
def test_steppe_gives_what_the_full_forward_pass_gives(shape: str, length: int) -> None:
    row = peers.measure("steppe", shape, length, 20)
    assert row.points == (20 if length == 512 else 101)
    assert row.difference is not None
    assert row.difference < 1e-5
    assert row.shares_prefix


def test_what_is_another_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    def halved(work: Any) -> Any:
        run = peers.with_transformers(work)
        return lambda points: run(points) / 2

    monkeypatch.setitem(peers.PEERS, "other", ("torch", halved, False))
    row = peers.measure("other", "gpt2", 10, 20)
    assert row.difference == pytest.approx(0.5)
    assert peers.measure("transformers", "gpt2", 10, 20).difference == 0


def test_a_library_that_cannot_do_it_says_why(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken(_work: Any) -> Any:
        raise ValueError("no such hook")

    monkeypatch.setitem(peers.PEERS, "broken", ("torch", broken, False))
    peers._print(peers.measure("broken", "gpt2", 10, 20), as_json=False)
    assert capsys.readouterr().out.endswith("ValueError: no such hook\n")
    peers.told("broken", "gpt2", 10, 20)
    assert json.loads(capsys.readouterr().out)["seconds"] is None
