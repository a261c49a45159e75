"""A function of somebody's own is told by what it computes with, in every process alike."""

from __future__ import annotations

import os
import subprocess
import sys
from functools import partial

import numpy as np
import pytest
import torch

from steppe.study.code_identity import code_of

SCALE = 2.0
NAMES = {"b", "a", "c"}


def helper(x):
    return x * SCALE


def uses_helper(x):
    return helper(x)


def made_with(value):
    def kind(x):
        return [x * value for _ in range(3)]

    return kind


def with_default(value):
    def kind(x, y=value, *, z=value):
        return x + y + z

    return kind


def of(x, y):
    return x * y


class Scaled:
    def __init__(self, value):
        self.value = value

    def make(self, x):
        return x * self.value

    def __call__(self, x):
        return x * self.value


@pytest.mark.parametrize(
    "make",
    [
        made_with, with_default, lambda value: partial(of, y=value),
        lambda value: partial(of, value), lambda value: Scaled(value).make, Scaled,
        lambda value: made_with(made_with(value)), lambda value: made_with({"k": [value, None]}),
    ],
)  # fmt: skip
@pytest.mark.parametrize(
    ("one", "other"),
    [
        (1, 2), (1, 1.0), (1, True), ("a", "b"), ((1, 2), (2, 1)), ([1], [1, 1]),
        (np.arange(3), np.arange(3.0)), (np.zeros(4), np.zeros((2, 2))),
        (torch.ones(3), torch.tensor([1.0, 1, 1.5])),
        (torch.ones(2, dtype=torch.bfloat16), torch.zeros(2, dtype=torch.bfloat16)),
        (np.array(["x", None], dtype=object), np.array(["y", None], dtype=object)),
    ],
)  # fmt: skip
def test_what_it_computes_with_counts(make, one, other) -> None:
    assert code_of(make(one)) == code_of(make(one))
    assert code_of(make(one)) != code_of(make(other))


def test_data_and_functions_of_its_module_count(monkeypatch) -> None:
    def again():
        # A new function of the same code, as in a new process.
        return type(uses_helper)(uses_helper.__code__, globals(), "uses_helper")

    first = code_of(again())
    assert code_of(again()) == first
    monkeypatch.setitem(globals(), "SCALE", 3.0)
    assert code_of(again()) != first


def test_what_it_changes_later_makes_no_other_of_it() -> None:
    seen: list[int] = []

    def kind(x):
        seen.append(x)
        return x

    first = code_of(kind)
    kind(1)
    assert code_of(kind) == first


def test_what_holds_itself_ends() -> None:
    ring: list[object] = []
    ring.append(ring)
    assert code_of(made_with(ring)) == code_of(made_with(ring))


def test_steppes_own_and_none() -> None:
    assert code_of(code_of) == "steppe.study.code_identity:code_of"
    assert code_of(None) == ""


def test_another_process_says_the_same() -> None:
    source = """
from steppe.study.code_identity import code_of
NAMES = {"b", "a", "c"}
def kind(x):
    inner = lambda y: [y + z for z in sorted(NAMES)]
    return {key: inner(x) for key in {"p", "q", "r"}}
print(code_of(kind))
"""
    said = {
        subprocess.run(
            [sys.executable, "-c", source], env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True, text=True, check=True,
        ).stdout
        for seed in ("1", "2")
    }  # fmt: skip
    assert len(said) == 1
