"""Numbers of distributions equal a plain float64 computation of their formula."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from steppe.metrics import divergence
from steppe.metrics.catalogue import CATALOGUE
from steppe.metrics.distributions import entropy, hellinger, reverse_kl, top_probability

Number = Callable[[Tensor], Tensor]


def path(scale: float) -> Tensor:
    generator = torch.Generator().manual_seed(0)
    base, change = torch.randn(2, 301, generator=generator)
    return 3 * base + torch.linspace(0, 1, 12)[:, None] ** 3 * scale * change


def plain(name: str, logits: Tensor) -> Tensor:
    p = logits.double().softmax(-1)
    base = p[:1]
    terms = {
        "top_probability": lambda: p.max(-1).values,
        "entropy": lambda: -torch.xlogy(p, p).sum(-1),
        "reverse_kl": lambda: (p * (p.log() - base.log())).sum(-1),
        "hellinger": lambda: ((p.sqrt() - base.sqrt()).square().sum(-1) / 2).sqrt(),
    }
    return terms[name]()


@pytest.mark.parametrize("scale", [1e-2, 1.0, 10.0])
@pytest.mark.parametrize("name", ["top_probability", "entropy", "reverse_kl", "hellinger"])
def test_values_are_those_of_the_formula(name: str, scale: float) -> None:
    logits = path(scale)
    found = CATALOGUE[name].measure(logits)
    assert found.dtype == torch.float32
    torch.testing.assert_close(found.double(), plain(name, logits), rtol=1e-3, atol=1e-6)


def test_by_hand() -> None:
    # P_0 = (1/2, 1/2), P_1 = (3/4, 1/4).
    logits = torch.tensor([[0.0, 0.0], [math.log(3.0), 0.0]])
    assert float(top_probability(logits)[1]) == pytest.approx(0.75)
    assert float(entropy(logits)[0]) == pytest.approx(math.log(2))
    assert float(reverse_kl(logits)[1]) == pytest.approx(0.75 * math.log(3) - math.log(2))
    overlap = (math.sqrt(0.75) + math.sqrt(0.25)) / math.sqrt(2)
    assert float(hellinger(logits)[1]) == pytest.approx(math.sqrt(1 - overlap), rel=1e-5)


def test_tokens_that_the_base_all_but_excludes() -> None:
    logits = torch.tensor([[200.0, 0.0], [0.0, 200.0]])
    assert float(reverse_kl(logits)[1]) == pytest.approx(200.0, rel=1e-5)
    assert float(hellinger(logits)[1]) == pytest.approx(1.0)
    assert entropy(logits).tolist() == [0.0, 0.0]


@pytest.mark.parametrize("number", [reverse_kl, hellinger])
def test_step_0_is_exactly_zero(number: Number) -> None:
    for scale in (1e-6, 1.0, 300.0):
        found = number(path(scale))
        assert float(found[0]) == 0.0
        assert bool(found.isfinite().all())
        assert bool((found >= 0).all())


@pytest.mark.parametrize("number", [top_probability, entropy, reverse_kl, hellinger])
def test_chunks_axes_and_nan(number: Number, monkeypatch: pytest.MonkeyPatch) -> None:
    logits = torch.randn(4, 5, 31, generator=torch.Generator().manual_seed(1))
    copy = logits.clone()
    whole = number(logits)
    assert whole.shape == (4, 5)
    assert torch.equal(logits, copy)
    monkeypatch.setitem(divergence.CHUNK, "cpu", 1)
    torch.testing.assert_close(number(logits), whole)
    copy[0, 2, 7] = torch.nan
    assert bool(number(copy)[0, 2].isnan())
