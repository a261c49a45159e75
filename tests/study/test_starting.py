"""How a study's model is opened."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
import torch

from steppe.core.seeds import stream
from steppe.models import load_model, with_random_weights
from steppe.settings.configuration import default_folder
from steppe.studies.giglemiani2024.settings import Settings
from steppe.studies.lee2024.settings import Settings as Lee
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


def test_random_weights_are_the_control_of_a_model_by_name_or_as_an_object(tiny_files: Any) -> None:
    asked = {"model": str(tiny_files.model), "prompts": str(tiny_files.prompts), "device": "cpu"}
    settings = Settings(random_weights=True, **asked)
    model = load_model(tiny_files.model, device="cpu")
    control = with_random_weights(model, stream(settings.seed, "weights"))
    _, opened = starting.open_model(settings)
    _, decided = starting.decide(settings, model)
    hashes = {one.identity.fingerprint for one in (control, opened, decided)}
    assert hashes == {control.identity.fingerprint}
    assert opened.identity.name.endswith("with random weights")
    assert control.identity.fingerprint != model.identity.fingerprint
    other = starting.open_model(Settings(random_weights=True, seed=1, **asked))[1]
    assert other.identity.fingerprint not in hashes


def test_random_weights_bring_no_sae_and_are_never_the_papers() -> None:
    assert Settings().has_sae
    assert not Settings(random_weights=True).has_sae
    assert Lee().sae_sources == ("demo",)
    assert Lee(random_weights=True).sae_sources == ()
    assert Settings(model="gpt2").is_paper
    assert not Settings(model="gpt2", random_weights=True).is_paper
    assert Settings(model="gpt2", random_weights=True).lacking == ("prompts",)
    assert default_folder(Settings(random_weights=True)) != default_folder(Settings())
