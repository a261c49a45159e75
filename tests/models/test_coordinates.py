from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch

from steppe.core.errors import InputError
from steppe.models import Model, load_model


def test_layer_norm_models_are_centred_by_default(make_gpt2: Callable[..., Any]) -> None:
    residual = torch.arange(32.0).reshape(2, 16)
    centred = load_model(make_gpt2())
    assert centred.coordinates == "centered"
    found = centred.to_coordinates(residual)
    torch.testing.assert_close(found, residual - torch.tensor([[7.5], [23.5]]))
    raw = load_model(make_gpt2(), coordinates="raw")
    assert torch.equal(raw.to_coordinates(residual), residual)


def test_rms_norm_models_are_raw_by_default(make_llama: Callable[[], Any]) -> None:
    assert load_model(make_llama()).coordinates == "raw"
    assert load_model(make_llama(), coordinates="raw").coordinates == "raw"


def test_centred_is_refused_for_rms_norm(make_llama: Callable[[], Any]) -> None:
    with pytest.raises(InputError) as caught:
        load_model(make_llama(), coordinates="centered")
    assert str(caught.value) == (
        "coordinates\n"
        "  got:      'centered' for a model whose final normalisation is no LayerNorm\n"
        "  expected: 'raw': this model sees the mean over d_model, removing it changes its output\n"
        "  fix:      use coordinates='raw', or leave coordinates out"
    )


def test_unknown_coordinates_are_refused(make_gpt2: Callable[..., Any]) -> None:
    with pytest.raises(InputError) as caught:
        load_model(make_gpt2(), coordinates="polar")
    assert str(caught.value) == (
        "coordinates\n"
        "  got:      'polar'\n"
        "  expected: 'centered' or 'raw'\n"
        "  fix:      leave coordinates out to take the model's default"
    )


def test_coordinates_leave_their_input_unchanged(model: Model) -> None:
    residual = torch.randn(3, 16, generator=torch.Generator().manual_seed(0))
    copy = residual.clone()
    model.to_coordinates(residual)
    assert torch.equal(residual, copy)
