"""A check takes as many tokens as it needs, and says how well it knows what it found."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from steppe.checks import checking
from steppe.checks.checking import CheckRequest, check_model, mean_and_error


def request(tiny_files: Any, **more: Any) -> CheckRequest:
    return CheckRequest(
        model=str(tiny_files.model), prompts=str(tiny_files.prompts), length=12, **more
    )


def test_a_check_ends_when_the_loss_is_known(
    tiny_files: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checking, "PRECISION", 1.0)
    assert check_model(request(tiny_files)).tokens.startswith("32 sequences of 12 tokens")
    exact = check_model(request(tiny_files, tokens=240))
    assert exact.tokens.startswith("20 sequences of 12 tokens")


def test_a_check_goes_on_while_the_loss_is_unknown(tiny_files: Any) -> None:
    found = check_model(request(tiny_files))
    assert found.tokens.startswith("400 sequences")
    assert found.loss_error > checking.PRECISION
    assert f"± {found.loss_error:.4f} nats per token" in str(found)


def test_what_an_sae_adds_is_known_as_well(
    tiny_files: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checking, "PRECISION", 0.2)
    [sae] = check_model(request(tiny_files, saes=(str(tiny_files.sae),))).saes
    assert 0 < sae.loss_increase_error <= 0.2
    assert abs(sae.loss_increase) > 1e-4


def test_the_error_comes_from_the_spread_between_sequences() -> None:
    mean, error = mean_and_error(torch.tensor([1.0, 3.0, 1.0, 3.0], dtype=torch.float64))
    assert mean == 2.0
    assert error == pytest.approx((4 / 3) ** 0.5 / 2)
