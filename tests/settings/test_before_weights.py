"""What can be seen without the weights is told before any is read."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from steppe.core.errors import InputError
from steppe.models import load_model
from steppe.settings.before_weights import read_stated
from steppe.studies.giglemiani2024.settings import Settings as Giglemiani
from steppe.studies.heimersheim2024.settings import Settings as Heimersheim
from steppe.studies.lee2024.settings import Settings as Lee
from steppe.study import starting
from steppe.study.starting import open_model

STUDIES = [Giglemiani, Heimersheim, Lee]


@pytest.fixture(autouse=True)
def no_weights(monkeypatch: pytest.MonkeyPatch) -> None:
    def load(*_: Any, **__: Any) -> None:
        raise AssertionError("weights were read")

    monkeypatch.setattr(starting, "load_model", load)


@pytest.fixture
def given(tiny_files: Any) -> dict[str, Any]:
    names = ("sae", "prompts")
    files = {name: str(getattr(tiny_files, name)) for name in names}
    return {"model": str(tiny_files.model), "prompt_length": 12, **files}


@pytest.mark.parametrize("study", STUDIES)
def test_lacking_sources_are_told_together(study: Any, given: dict[str, Any]) -> None:
    with pytest.raises(InputError, match="--prompts\n"):
        open_model(study(model=given["model"]))
    with pytest.raises(InputError, match="--prompts\n"):
        open_model(study(model=given["model"], sae=given["sae"]))


@pytest.mark.parametrize("study", STUDIES)
@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"prompts": "./absent.jsonl"}, "absent.jsonl"),
        ({"sae": "/absent/sae"}, "/absent/sae"),
        ({"site": "blocks.7.hook_resid_pre"}, "layer 7"),
        ({"prompt_length": 33}, "1 to 32"),
        ({"revision": "main"}, "'main', for "),
        ({"model": "/absent/model"}, "/absent/model"),
    ],
)
def test_what_does_not_exist_or_fit(
    study: Any, given: dict[str, Any], changes: dict[str, Any], told: str
) -> None:
    with pytest.raises(InputError, match=told):
        open_model(study(**{**given, **changes}))


def test_all_that_is_wrong_is_told_at_once(given: dict[str, Any]) -> None:
    wrong = {"prompts": "./absent.jsonl", "sae": "/absent/sae", "prompt_length": 33}
    with pytest.raises(InputError) as caught:
        open_model(STUDIES[0](**{**given, **wrong}))
    assert caught.value.place == "3 settings"
    for told in ("absent.jsonl", "/absent/sae", "1 to 32"):
        assert told in str(caught.value)


@pytest.mark.parametrize("study", STUDIES)
@pytest.mark.parametrize(
    ("key", "value", "told"), [("d_in", 17, "d_in = 17"), ("hook", 5, "layer 5")]
)
def test_an_sae_of_another_model(
    study: Any, given: dict[str, Any], tmp_path: Path, key: str, value: int, told: str
) -> None:
    sae = tmp_path / "sae"
    shutil.copytree(given["sae"], sae)
    config = json.loads((sae / "cfg.json").read_text())
    if key == "hook":
        config["metadata"]["hook_name"] = f"blocks.{value}.hook_resid_pre"
    else:
        config[key] = value
    (sae / "cfg.json").write_text(json.dumps(config))
    with pytest.raises(InputError, match=told):
        open_model(study(**{**given, "sae": str(sae)}))


@pytest.mark.parametrize("study", [Giglemiani, Heimersheim])
def test_an_sae_of_another_site(study: Any, given: dict[str, Any]) -> None:
    with pytest.raises(InputError, match=r"an SAE of blocks\.1\.hook_resid_pre"):
        open_model(study(**given, site="blocks.2.hook_resid_pre"))


def test_what_fits_goes_on_to_the_weights(given: dict[str, Any]) -> None:
    for study in STUDIES:
        with pytest.raises(AssertionError, match="weights were read"):
            open_model(study(**given))


def test_a_model_of_the_papers_shape_may_bring_the_papers_sources(tmp_path: Path) -> None:
    shape = {"model_type": "gpt2", "architectures": ["GPT2LMHeadModel"], "n_layer": 12,
             "n_embd": 768, "n_head": 12, "vocab_size": 50257}  # fmt: skip
    (tmp_path / "config.json").write_text(json.dumps(shape))
    assert read_stated(str(tmp_path), None).has_papers_shape
    with pytest.raises(AssertionError, match="weights were read"):
        open_model(Giglemiani(model=str(tmp_path)))
    with pytest.raises(InputError, match="--prompts"):
        open_model(Giglemiani(model=str(tmp_path), paper_settings=False))


def test_what_config_json_states(given: dict[str, Any]) -> None:
    stated = read_stated(given["model"], None)
    assert (stated.n_layers, stated.d_model, stated.context_length) == (3, 16, 32)
    assert not stated.has_papers_shape


@pytest.mark.parametrize("key", ["vocab_size", "n_layer", "n_embd", "model_type"])
@pytest.mark.parametrize("value", [4096.5, None, [4], "many"])
def test_faults_of_config_json_are_left_to_loading_which_names_them(
    given: dict[str, Any], tmp_path: Path, key: str, value: object
) -> None:
    model = shutil.copytree(given["model"], tmp_path / "model")
    settings = json.loads((model / "config.json").read_text())
    (model / "config.json").write_text(json.dumps(settings | {key: value}))
    assert read_stated(str(model), None).n_layers is None
    with pytest.raises(AssertionError, match="weights were read"):
        open_model(Heimersheim(**given | {"model": str(model)}))
    with pytest.raises(InputError, match=r"config\.json"):
        load_model(model)


def test_a_length_below_one_is_none(given: dict[str, Any], tmp_path: Path) -> None:
    model = shutil.copytree(given["model"], tmp_path / "model")
    settings = json.loads((model / "config.json").read_text())
    (model / "config.json").write_text(json.dumps(settings | {"n_positions": -1}))
    assert read_stated(str(model), None).context_length is None


def test_an_sae_of_another_site_may_be_accepted(given: dict[str, Any]) -> None:
    with pytest.raises(AssertionError, match="weights were read"):
        open_model(Giglemiani(**given, site="blocks.2.hook_resid_pre", accept_sae=True))
