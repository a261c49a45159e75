"""Searches in half precision: what is rounded is how far a point is from where its path starts."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
import transformers

from steppe.core.sites import Site
from steppe.propagation import build_prefix
from steppe.recipes.heimersheim2024.bench import Bench
from steppe.subject import Subject, load_subject

SITE, READ = Site(1, "resid_pre"), Site(-1, "resid_post")
TOKENS = torch.arange(12)


@pytest.fixture(scope="module")
def model() -> Any:
    torch.manual_seed(0)
    config = transformers.GPT2Config(
        n_layer=3, n_embd=24, n_head=2, vocab_size=89, n_positions=32,
        initializer_range=0.3, bos_token_id=0, eos_token_id=0,
    )  # fmt: skip
    return transformers.GPT2LMHeadModel(config).eval()


def bench_of(subject: Subject, level: float = 1e-4) -> Bench:
    settings = SimpleNamespace(n_points=101, level=level)
    material: Any = SimpleNamespace(settings=settings, centered=True, read=READ)
    stock: Any = SimpleNamespace(subject=subject, site=SITE)
    return Bench(material, stock)


def crossings(subject: Subject) -> Any:
    torch.manual_seed(1)
    displacements = torch.randn(40, 24)
    with bench_of(subject) as bench:
        prefix = build_prefix(subject, TOKENS, SITE)
        family = bench.family("sphere", prefix.base.expand(40, -1), displacements)
        return bench.crossings(prefix, family)


def test_crossings_of_small_levels_are_those_of_float32(model: Any) -> None:
    exact = crossings(load_subject(model))
    half = crossings(load_subject(model, dtype="bfloat16"))
    assert not exact.censored.any()
    error = np.abs(half.position - exact.position) / exact.position
    assert np.median(error) < 0.015
    assert error.max() < 0.05


def test_points_are_run_in_as_many_pairs_as_fit(
    model: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    subject = load_subject(model, dtype="bfloat16")
    torch.manual_seed(2)
    with bench_of(subject) as bench:
        prefix = build_prefix(subject, TOKENS, SITE)
        points = prefix.base + 0.1 * torch.randn(150, 24)
        together = bench.logits(prefix, points)
        monkeypatch.setattr(bench._suffix, "fits", lambda _prefix, rows: rows <= 6)
        apart = bench.logits(prefix, points)
    torch.testing.assert_close(apart, together, rtol=1e-3, atol=1e-3)
