"""How a study's model is opened."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch

import steppe
from steppe.core.errors import InputError
from steppe.core.seeds import stream
from steppe.models import load_model, with_random_weights
from steppe.models.half_precision import slowdown
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
    assert not Settings(site="blocks.2.hook_resid_pre").has_sae


@pytest.mark.parametrize(("slower", "computed"), [(6.0, "float32"), (1.5, "bfloat16")])
def test_half_precision_that_is_slow_here_is_computed_in_float32(
    tiny_files: Any,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    slower: float,
    computed: str,
) -> None:
    monkeypatch.setattr(starting, "slowdown", lambda _: slower)
    asked = {"model": str(tiny_files.model), "prompts": str(tiny_files.prompts), "device": "cpu"}
    settings, model = starting.open_model(Settings(dtype="bfloat16", **asked))
    assert (settings.dtype, str(model.dtype)) == (computed, f"torch.{computed}")
    assert ("6.0 times as long" in capsys.readouterr().err) == (slower == 6)
    strict = Settings(dtype="bfloat16", dtype_strict=True, **asked)
    if slower == 6:
        with pytest.raises(InputError, match=r"6\.0 times"):
            starting.open_model(strict)
    else:
        assert starting.open_model(strict)[0].dtype == "bfloat16"


def test_a_run_that_computes_in_float32_instead_is_gone_on_with(
    tiny_files: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(starting, "slowdown", lambda _: 6.0)
    asked: dict[str, Any] = {
        "model": str(tiny_files.model), "prompts": str(tiny_files.prompts), "device": "cpu",
        "only": ["interpolations"], "n_points": 3, "moments_samples": 100, "bootstrap": 100,
    }  # fmt: skip
    for samples in (4, 6):
        run = steppe.run(
            "janiak2024", out=tmp_path / "run", samples=samples, dtype="bfloat16", **asked
        )
    resolved = run.config["resolved"]
    assert (resolved["dtype"], resolved["model_identity"]["dtype"]) == ("float32", "float32")
    with pytest.raises(InputError, match="float64"):
        steppe.run("janiak2024", out=tmp_path / "run", samples=6, dtype="float64", **asked)


def test_how_much_slower_half_precision_is_is_measured() -> None:
    # The same product against itself, on a machine that may be busy.
    assert 0 < slowdown(torch.float32) < 100
    assert slowdown(torch.bfloat16) > 0
