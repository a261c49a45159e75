"""How a study's model is opened."""

from __future__ import annotations

import time
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
from steppe.models.half_precision import SLOW, slowdown
from steppe.sae import load_sae
from steppe.settings.catalogue import find_study
from steppe.settings.configuration import default_folder
from steppe.studies.giglemiani2024.settings import Settings
from steppe.studies.giglemiani2024.study import STUDY
from steppe.studies.lee2024.settings import Settings as Lee
from steppe.study import starting
from steppe.study.estimate import estimate


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


@pytest.mark.parametrize(
    ("site", "brings"),
    [
        ("blocks.1.hook_resid_pre", True),
        ("blocks.0.hook_resid_post", True),
        ("blocks.2.hook_resid_pre", False),
        ("blocks.last.hook_resid_post", False),
        ("blocks.90.hook_resid_pre", False),
    ],
)
def test_the_bundled_model_brings_its_sae_to_where_it_belongs(site: str, brings: bool) -> None:
    assert Settings(site=site).has_sae == brings


@pytest.mark.parametrize(
    "name", ["giglemiani2024", "heimersheim2024", "ferreira2026", "compositions"]
)
def test_every_study_of_latents_has_an_sae_as_it_comes(name: str) -> None:
    settings: Any = find_study(name).settings_class()()
    blocks = load_model("demo", device="cpu").n_layers
    assert settings.has_sae
    assert load_sae("demo").site.place(blocks) == settings.site_in(blocks).place(blocks)


@pytest.mark.parametrize(("slower", "computed"), [(6.0, "float32"), (1.5, "bfloat16")])
def test_half_precision_that_is_slow_here_is_computed_in_float32(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    slower: float,
    computed: str,
) -> None:
    monkeypatch.setattr(starting, "slowdown", lambda _: slower)
    asked: dict[str, Any] = {"dtype": "bfloat16", "device": "cpu"}
    assert starting.in_a_fast_format(Settings(**asked)).dtype == computed
    assert ("6.0 times as long" in capsys.readouterr().err) == (slower == 6)
    strict = Settings(dtype_strict=True, **asked)
    if slower == 6:
        with pytest.raises(InputError, match=r"6\.0 times"):
            starting.in_a_fast_format(strict)
    else:
        assert starting.in_a_fast_format(strict).dtype == "bfloat16"


@pytest.mark.parametrize(("first", "computed"), [(6.0, "float32"), (0.5, "bfloat16")])
def test_a_run_goes_on_in_the_format_it_was_begun_in(
    tiny_files: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, first: float, computed: str
) -> None:
    asked: dict[str, Any] = {
        "model": str(tiny_files.model), "prompts": str(tiny_files.prompts), "device": "cpu",
        "only": ["interpolations"], "n_points": 3, "moments_samples": 100, "bootstrap": 100,
        "out": tmp_path / "run",
    }  # fmt: skip
    # What is measured the second time is another processor's, or a busier one's.
    for samples, slower in ((4, first), (6, 3 / first)):
        monkeypatch.setattr(starting, "slowdown", lambda _, slower=slower: slower)
        run = steppe.run("janiak2024", samples=samples, dtype="bfloat16", **asked)
    resolved = run.config["resolved"]
    assert (resolved["dtype"], resolved["model_identity"]["dtype"]) == (computed, computed)
    assert f"- number format: {computed}" in (run.path / "summary.md").read_text()
    with pytest.raises(InputError, match=rf"dtype: {computed} -> float64"):
        steppe.run("janiak2024", samples=6, dtype="float64", **asked)
    monkeypatch.setattr(starting, "slowdown", lambda _: 3 / first)
    refused = r"6\.0 times" if first == 0.5 else "dtype: float32 -> bfloat16"
    with pytest.raises(InputError, match=refused):
        steppe.run("janiak2024", samples=7, dtype="bfloat16", dtype_strict=True, **asked)


def test_a_model_object_with_another_hook_is_another_run(tiny_files: Any, tmp_path: Path) -> None:
    model = load_model(tiny_files.model, device="cpu")
    asked: dict[str, Any] = {
        "model": model, "prompts": str(tiny_files.prompts), "only": ["interpolations"],
        "n_points": 3, "moments_samples": 100, "bootstrap": 100, "out": tmp_path / "run",
    }  # fmt: skip

    def steer(factor: float) -> None:
        def hook(_module: Any, _given: Any, output: torch.Tensor) -> torch.Tensor:
            return output * factor

        model.hf_model.transformer.h[1].mlp.register_forward_hook(hook)

    assert "model_hooks" not in steppe.run("janiak2024", samples=4, **asked).config["resolved"]
    steer(1.5)
    with pytest.raises(InputError, match=r"model_hooks: .*transformer\.h\.1\.mlp: "):
        steppe.run("janiak2024", samples=6, **asked)
    steppe.run("janiak2024", samples=4, **asked | {"out": tmp_path / "steered"})
    model.hf_model.transformer.h[1].mlp._forward_hooks.clear()
    steer(2.0)
    with pytest.raises(InputError, match="model_hooks"):
        steppe.run("janiak2024", samples=6, **asked | {"out": tmp_path / "steered"})


def test_memory_is_stated_for_what_would_be_computed(
    tiny_files: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(starting, "slowdown", lambda _: 6.0)
    asked = {"model": str(tiny_files.model), "prompts": str(tiny_files.prompts), "device": "cpu"}
    found = [estimate(STUDY, Settings(dtype=dtype, **asked)) for dtype in ("float32", "bfloat16")]
    assert found[0].memory == found[1].memory


def test_how_much_slower_half_precision_is_is_measured() -> None:
    # The same product against itself, on a machine that may be busy.
    assert 0 < slowdown(torch.float32) < 100
    assert slowdown(torch.bfloat16) > 0


def test_a_pause_of_the_processor_is_no_slow_format(monkeypatch: pytest.MonkeyPatch) -> None:
    # Another program has the processor for the first five products of half precision.
    count, real = 0, torch.nn.functional.linear

    def linear(rows: torch.Tensor, matrix: torch.Tensor) -> torch.Tensor:
        nonlocal count
        count += rows.dtype == torch.bfloat16
        time.sleep(0.002 * (rows.dtype == torch.bfloat16 and count <= 5))
        return real(rows.float(), matrix.float())

    monkeypatch.setattr(torch.nn.functional, "linear", linear)
    assert slowdown.__wrapped__(torch.bfloat16) < SLOW
