"""How a study's model is opened."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
import torch

from steppe.models import load_model
from steppe.studies.giglemiani2024.settings import Settings
from steppe.study import starting


@dataclass
class Loaded:
    device: torch.device
    identity: Any


@pytest.fixture(autouse=True)
def precision() -> Iterator[None]:
    before = torch.get_float32_matmul_precision()
    yield
    torch.set_float32_matmul_precision(before)


@pytest.mark.parametrize(
    ("device", "tf32", "expected"),
    [("cuda", False, "highest"), ("cuda", True, "high"), ("cpu", True, "highest")],
)
def test_tf32_is_for_gpus_and_for_those_who_ask(
    monkeypatch: pytest.MonkeyPatch, device: str, tf32: bool, expected: str
) -> None:
    identity = load_model("demo", device="cpu").identity
    loaded = Loaded(torch.device(device), identity)
    monkeypatch.setattr(starting, "load_model", lambda *_, **__: loaded)
    assert starting.open_model(Settings(tf32=tf32))[1] is loaded
    assert torch.get_float32_matmul_precision() == expected
