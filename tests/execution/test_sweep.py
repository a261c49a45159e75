"""Cells of a sweep have names of their own that last, also where values are objects."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import pytest
import torch
from transformers import BatchEncoding

import steppe
from steppe.core.errors import InputError
from steppe.execution.sweep import named


@pytest.fixture(scope="module")
def model(tiny_files: Any) -> Any:
    return steppe.load_model(tiny_files.model, device="cpu").hf_model


class OwnSae:
    """An SAE of somebody's own."""

    def __init__(self, seed: int) -> None:
        self.W_dec = torch.randn(8, 16, generator=torch.Generator().manual_seed(seed))


def test_objects_have_names_that_last(model: Any, tiny_files: Any) -> None:
    other = copy.deepcopy(model)
    with torch.no_grad():
        other.lm_head.weight[0, 0] += 1
    ids = np.arange(40).reshape(4, 10)
    grid = {
        "model": [model, other],
        "sae": [steppe.load_sae(tiny_files.sae, device="cpu"), OwnSae(0), OwnSae(1), "a/b"],
        "prompts": [ids, torch.from_numpy(ids + 1), BatchEncoding({"input_ids": ids + 2})],
    }
    first, again = named(grid), named({**grid, "model": [copy.deepcopy(model), other]})
    assert len(first) == 24
    assert list(first) == list(again)
    assert not any("0x" in name or "/" in name for name in first)


def test_values_of_one_name_are_refused(model: Any) -> None:
    for grid, axis in (
        ({"model": [model, copy.deepcopy(model)]}, "model"),
        ({"sae": [OwnSae(0), OwnSae(0)]}, "sae"),
        ({"seed": [0, 1, 0]}, "seed"),
    ):
        with pytest.raises(InputError, match=f"(?s)axis {axis}.*twice"):
            named(grid)
    with pytest.raises(InputError, match="an object of object"):
        named({"sae": [object()]})


def test_numbers_of_numpy_are_numbers() -> None:
    cells = named({"seed": np.arange(2)})
    assert list(cells) == ["seed=0", "seed=1"]
    assert all(type(cell["seed"]) is int for cell in cells.values())
