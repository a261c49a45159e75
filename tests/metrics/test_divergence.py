from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from steppe.metrics import divergence
from steppe.metrics.distributions import reverse_kl
from steppe.metrics.divergence import js, kl

RANDOM = torch.Generator().manual_seed(0)


def path(scale: float, n_steps: int = 12, vocab: int = 301) -> Tensor:
    """Logits that move away from the first row ever faster."""
    base = 3 * torch.randn(vocab, generator=RANDOM)
    change = scale * torch.randn(vocab, generator=RANDOM)
    return base + torch.linspace(0, 1, n_steps)[:, None] ** 3 * change


def kl_in_float64(logits: Tensor) -> Tensor:
    log_p = logits.double().log_softmax(-1)
    return (log_p[:1].exp() * (log_p[:1] - log_p)).sum(-1)


def js_in_float64(logits: Tensor) -> Tensor:
    p = logits.double().softmax(-1)
    middle = (p + p[:1]) / 2
    one = (p[:1] * (p[:1] / middle).log()).sum(-1)
    other = torch.where(p > 0, p * (p / middle).log(), 0.0).sum(-1)
    return (one + other) / 2 / math.log(2)


def reverse_kl_in_float64(logits: Tensor) -> Tensor:
    log_p = logits.double().log_softmax(-1)
    return (log_p.exp() * (log_p - log_p[:1])).sum(-1)


def test_kl_has_the_base_as_its_reference() -> None:
    # P_0 = (1/2, 1/2), P_1 = (3/4, 1/4): KL(P_0 || P_1) = ln 2 - ln(3) / 2; the other way round
    # it would be ln(3) * 3 / 4 - ln 2.
    logits = torch.tensor([[0.0, 0.0], [math.log(3.0), 0.0]])
    assert float(kl(logits)[1]) == pytest.approx(math.log(2) - math.log(3) / 2, rel=1e-6)


def test_js_by_hand() -> None:
    # No token in common: one bit. (1/2, 1/2) and (1, 0): 3/4 log2(4/3) + ... = 0.3113 bit.
    logits = torch.tensor([[0.0, 0.0], [90.0, 0.0]])
    assert float(js(logits)[1]) == pytest.approx(0.3112781, rel=1e-6)
    apart = torch.tensor([[0.0, 200.0], [200.0, 0.0]])
    assert float(js(apart)[1]) == pytest.approx(1.0, rel=1e-6)


@pytest.mark.parametrize("scale", [1e-2, 1.0, 10.0])
def test_float32_is_close_to_float64(scale: float) -> None:
    logits = path(scale)
    torch.testing.assert_close(kl(logits).double(), kl_in_float64(logits), rtol=1e-3, atol=1e-12)
    torch.testing.assert_close(js(logits).double(), js_in_float64(logits), rtol=1e-3, atol=1e-12)


def test_small_divergences_survive() -> None:
    logits = path(1e-2)
    expected = kl_in_float64(logits)
    assert 1e-11 < float(expected[2]) < 1e-8
    assert float(kl(logits)[2]) == pytest.approx(float(expected[2]), rel=0.05)


@pytest.mark.parametrize("measure", [kl, js])
def test_step_0_is_exactly_zero_and_nothing_is_negative(measure: object) -> None:
    for scale in (1e-6, 1.0, 300.0):
        found = measure(path(scale))  # type: ignore[operator]
        assert float(found[0]) == 0.0
        assert bool((found >= 0).all())
        assert bool(found.isfinite().all())


def test_tokens_that_the_base_all_but_excludes() -> None:
    # The second token has probability exp(-200) at the base and takes over.
    logits = torch.tensor([[200.0, 0.0], [0.0, 200.0]])
    assert float(kl(logits)[1]) == pytest.approx(200.0, rel=1e-5)


@pytest.mark.parametrize("measure", [kl, js])
def test_chunks_change_nothing(measure: object, monkeypatch: pytest.MonkeyPatch) -> None:
    logits = path(1.0)
    whole = measure(logits)  # type: ignore[operator]
    monkeypatch.setitem(divergence.CHUNK, "cpu", 1)
    torch.testing.assert_close(measure(logits), whole)  # type: ignore[operator]


@pytest.mark.parametrize("measure", [kl, js])
def test_axes_are_kept_and_inputs_unchanged(measure: object) -> None:
    logits = torch.randn(4, 5, 31, generator=RANDOM)
    copy = logits.clone()
    whole = measure(logits)  # type: ignore[operator]
    assert torch.equal(logits, copy)
    assert whole.shape == (4, 5)
    torch.testing.assert_close(whole[:, 2], measure(logits[:, 2]))  # type: ignore[operator]


@pytest.mark.parametrize("measure", [kl, js])
def test_nan_is_not_hidden(measure: object) -> None:
    logits = path(1.0)
    logits[0, 3] = float("nan")
    assert bool(measure(logits).isnan().all())  # type: ignore[operator]


MASKS = [torch.finfo(torch.float32).min, -1e9, -1e4, -torch.inf]


@pytest.mark.parametrize("mask", MASKS)
def test_tokens_that_a_model_masks_count_for_nothing(mask: float) -> None:
    logits = path(5.0)
    masked = logits.clone()
    kept = torch.arange(logits.shape[1]) % 3 > 0
    masked[:, ~kept] = mask
    cases = ((kl, kl_in_float64), (js, js_in_float64), (reverse_kl, reverse_kl_in_float64))
    for measured, exact in cases:
        found, expected = measured(masked), exact(logits[:, kept])
        assert found[0] == 0.0
        assert float(expected[-1]) > 0.01
        torch.testing.assert_close(found.double(), expected, rtol=1e-3, atol=1e-9)


@pytest.mark.parametrize("mask", [torch.finfo(torch.float32).min, -torch.inf])
def test_kl_is_infinite_where_the_point_rules_out_what_the_base_does_not(mask: float) -> None:
    logits = torch.zeros(3, 4)
    logits[1, 0] = mask
    assert kl(logits).tolist() == [0.0, torch.inf, 0.0]
    # (1/4, 1/4, 1/4, 1/4) and (0, 1/3, 1/3, 1/3).
    p, q = torch.tensor([[0.25] * 4, [0.0, 1 / 3, 1 / 3, 1 / 3]], dtype=torch.float64)
    middle = (p + q) / 2
    expected = ((p * (p / middle).log2()).sum() + (q[1:] * (q / middle)[1:].log2()).sum()) / 2
    assert float(js(logits)[1]) == pytest.approx(float(expected), rel=1e-6)
    base = torch.zeros(2, 4)
    base[0, 0] = mask
    assert float(kl(base)[1]) == pytest.approx(math.log(4 / 3), rel=1e-5)
    assert float(js(base)[1]) == pytest.approx(float(expected), rel=1e-6)


def test_what_is_undefined_stays_so() -> None:
    logits = path(1.0)
    logits[3, 5] = torch.nan
    for measured in (kl, js):
        found = measured(logits)
        assert found[3].isnan()
        assert not found[4:].isnan().any()
