"""What can be seen without the weights is told before any is read."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from steppe.core.errors import InputError
from steppe.recipes import starting
from steppe.recipes.before_weights import read_stated
from steppe.recipes.starting import open_subject
from steppe.studies.giglemiani2024.settings import Settings as Giglemiani
from steppe.studies.heimersheim2024.settings import Settings as Heimersheim
from steppe.studies.lee2024.settings import Settings as Lee

RECIPES = [Giglemiani, Heimersheim, Lee]


@pytest.fixture(autouse=True)
def no_weights(monkeypatch: pytest.MonkeyPatch) -> None:
    def load(*_: Any, **__: Any) -> None:
        raise AssertionError("weights were read")

    monkeypatch.setattr(starting, "load_subject", load)


@pytest.fixture
def given(tiny_files: Any) -> dict[str, Any]:
    names = ("sae", "prompts")
    files = {name: str(getattr(tiny_files, name)) for name in names}
    return {"subject": str(tiny_files.model), "prompt_length": 12, **files}


@pytest.mark.parametrize("recipe", RECIPES)
def test_lacking_sources_are_told_together(recipe: Any, given: dict[str, Any]) -> None:
    with pytest.raises(InputError, match="--prompts\n"):
        open_subject(recipe(subject=given["subject"]))
    with pytest.raises(InputError, match="--prompts\n"):
        open_subject(recipe(subject=given["subject"], sae=given["sae"]))


@pytest.mark.parametrize("recipe", RECIPES)
@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"prompts": "./absent.jsonl"}, "absent.jsonl"),
        ({"sae": "/absent/sae"}, "/absent/sae"),
        ({"site": "blocks.7.hook_resid_pre"}, "layer 7"),
        ({"prompt_length": 33}, "1 to 32"),
        ({"revision": "main"}, "'main', for "),
        ({"subject": "/absent/model"}, "/absent/model"),
    ],
)
def test_what_does_not_exist_or_fit(
    recipe: Any, given: dict[str, Any], changes: dict[str, Any], told: str
) -> None:
    with pytest.raises(InputError, match=told):
        open_subject(recipe(**{**given, **changes}))


@pytest.mark.parametrize("recipe", RECIPES)
@pytest.mark.parametrize(
    ("key", "value", "told"), [("d_in", 17, "d_in = 17"), ("hook", 5, "layer 5")]
)
def test_an_sae_of_another_model(
    recipe: Any, given: dict[str, Any], tmp_path: Path, key: str, value: int, told: str
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
        open_subject(recipe(**{**given, "sae": str(sae)}))


@pytest.mark.parametrize("recipe", [Giglemiani, Heimersheim])
def test_an_sae_of_another_site(recipe: Any, given: dict[str, Any]) -> None:
    with pytest.raises(InputError, match=r"an SAE of blocks\.1\.hook_resid_pre"):
        open_subject(recipe(**given, site="blocks.2.hook_resid_pre"))


def test_what_fits_goes_on_to_the_weights(given: dict[str, Any]) -> None:
    for recipe in RECIPES:
        with pytest.raises(AssertionError, match="weights were read"):
            open_subject(recipe(**given))


def test_a_model_of_the_papers_shape_may_bring_the_papers_sources(tmp_path: Path) -> None:
    shape = {"model_type": "gpt2", "architectures": ["GPT2LMHeadModel"], "n_layer": 12,
             "n_embd": 768, "n_head": 12, "vocab_size": 50257}  # fmt: skip
    (tmp_path / "config.json").write_text(json.dumps(shape))
    assert read_stated(str(tmp_path), None).has_papers_shape
    with pytest.raises(AssertionError, match="weights were read"):
        open_subject(Giglemiani(subject=str(tmp_path)))
    with pytest.raises(InputError, match="--prompts"):
        open_subject(Giglemiani(subject=str(tmp_path), paper_settings=False))


def test_what_config_json_states(given: dict[str, Any]) -> None:
    stated = read_stated(given["subject"], None)
    assert (stated.n_layers, stated.d_model, stated.context_length) == (3, 16, 32)
    assert not stated.has_papers_shape


def test_an_sae_of_another_site_may_be_accepted(given: dict[str, Any]) -> None:
    with pytest.raises(AssertionError, match="weights were read"):
        open_subject(Giglemiani(**given, site="blocks.2.hook_resid_pre", accept_sae=True))
