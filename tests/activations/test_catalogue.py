"""Every kind makes targets from one request, and says what it lacks."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from steppe.activations import KINDS, Gaussian, TargetRequest, estimate_moments, make_targets
from steppe.activations.catalogue import find_kind
from steppe.core.errors import InputError
from steppe.core.readings import Reading
from steppe.core.seeds import stream
from steppe.sae.model import Sae
from steppe.sae.rates import FiringRates

NAMES = [
    "real",
    "random",
    "isotropic",
    "synthetic_random",
    "synthetic_baseline",
    "synthetic_structured",
    "synthetic_structured_without_cosine",
    "sae_reconstruction",
]
Streams = Callable[[str], Sequence[np.random.Generator]]


def streams(count: int) -> Streams:
    return lambda name: [stream(0, name, sample) for sample in range(count)]


@pytest.fixture
def request_(
    oracle: dict[str, NDArray[Any]], oracle_sae: Sae, oracle_rates: FiringRates
) -> TargetRequest:
    base = torch.from_numpy(oracle["base"])
    return TargetRequest(
        base=base,
        real=base.roll(1, dims=0),
        generators=streams(40),
        gaussian=Gaussian.from_moments(estimate_moments(base)),
        sae=oracle_sae,
        rates=oracle_rates,
    )


def test_the_kinds() -> None:
    assert list(KINDS)[: len(NAMES)] == NAMES
    assert all(name.startswith("composed_") for name in list(KINDS)[len(NAMES) :])


@pytest.mark.parametrize("reading", ["code", "text"])
@pytest.mark.parametrize("name", NAMES)
def test_targets_of_every_kind(request_: TargetRequest, name: str, reading: Reading) -> None:
    request = replace(request_, reading=reading)
    targets = make_targets(name, request)
    assert targets.shape == request.base.shape
    assert targets.dtype == torch.float32
    assert torch.isfinite(targets).all()
    assert torch.equal(targets, make_targets(name, request))
    first = replace(request, base=request.base[:3], real=request.real[:3], generators=streams(3))
    assert torch.equal(make_targets(name, first), targets[:3])


def test_an_unknown_kind() -> None:
    with pytest.raises(InputError) as caught:
        find_kind("synthetic_structure")
    assert str(caught.value) == (
        "kind\n"
        "  got:      'synthetic_structure'\n"
        f"  expected: {', '.join(KINDS)}\n"
        "  fix:      did you mean 'synthetic_structured'?"
    )
    with pytest.raises(InputError, match="steppe list"):
        find_kind("xyz")


@pytest.mark.parametrize(
    ("kind", "missing", "got"),
    [
        ("random", "gaussian", "no gaussian"),
        ("synthetic_baseline", "rates", "no firing rates"),
        ("synthetic_structured", "sae", "no SAE"),
        ("sae_reconstruction", "sae", "no SAE"),
    ],
)
def test_what_a_kind_lacks(request_: TargetRequest, kind: str, missing: str, got: str) -> None:
    lacking = replace(request_, **{missing: None})  # type: ignore[arg-type]
    with pytest.raises(InputError) as caught:
        make_targets(kind, lacking)
    assert caught.value.place == f"targets of kind {kind!r}"
    assert caught.value.got == got


def test_nan_targets_are_refused(request_: TargetRequest) -> None:
    broken = replace(request_, real=request_.real * torch.nan)
    with pytest.raises(InputError, match="targets of kind 'real'"):
        make_targets("real", broken)
