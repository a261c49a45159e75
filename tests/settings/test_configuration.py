from __future__ import annotations

from pathlib import Path

import pytest

from steppe.core.errors import InputError
from steppe.settings.catalogue import STUDIES, find_study
from steppe.settings.configuration import read_config, settings_of
from steppe.studies.giglemiani2024.settings import SETUP, Settings, has_papers_sae
from steppe.study import is_published


def test_a_yaml_file_names_a_study_and_its_settings(tmp_path: Path) -> None:
    path = tmp_path / "study.yaml"
    path.write_text("study: giglemiani2024\nsamples: 20\nkinds: [random, real]\n")
    settings = settings_of(read_config(path), str(path))
    assert settings.samples == 20  # type: ignore[attr-defined]
    assert settings.kinds == ("real", "random")  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("content", "got"),
    [
        ("samples: 3", "no key 'study'"),
        ("- study", "list"),
        ("study: [", "while parsing"),
        ("", "NoneType"),
    ],
)
def test_a_file_that_is_no_study_is_refused(tmp_path: Path, content: str, got: str) -> None:
    path = tmp_path / "study.yaml"
    path.write_text(content)
    with pytest.raises(InputError) as fault:
        read_config(path)
    assert got in fault.value.got
    assert str(path) in fault.value.place


def test_a_missing_file_and_a_folder_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="nothing there"):
        read_config(tmp_path / "missing.yaml")
    with pytest.raises(InputError, match="a folder"):
        read_config(tmp_path)


def test_yaml_that_would_build_objects_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "study.yaml"
    path.write_text("study: !!python/object/apply:os.system ['true']\n")
    with pytest.raises(InputError, match="could not determine a constructor"):
        read_config(path)


def test_every_fault_is_named_at_once_with_the_nearest_key() -> None:
    request = {"study": "giglemiani2024", "sample": 3, "seed": -1, "dtype": "float8"}
    with pytest.raises(InputError) as fault:
        settings_of(request, "config study.yaml")
    text = str(fault.value)
    assert "unknown key 'sample'" in text
    assert "perhaps 'samples'" in text
    assert "seed: -1" in text
    assert "dtype: 'float8'" in text


@pytest.mark.parametrize(
    ("key", "value", "text"),
    [
        ("samples", 1, "greater than or equal to 2"),
        ("kinds", ["real", "rondom"], "did you mean 'random'?"),
        ("kinds", ["random"], "every comparison is made against it"),
        ("only", ["table_2"], "did you mean 'table_"),
        ("site", "blocks.1.hook_mlp", "blocks.<layer>.hook_resid_pre"),
        ("reading", "paper", "'code' or 'text'"),
    ],
)
def test_wrong_values_are_refused(key: str, value: object, text: str) -> None:
    with pytest.raises(InputError) as fault:
        settings_of({"study": "giglemiani2024", key: value}, "options")
    assert text in str(fault.value)


def test_an_unknown_study_suggests_the_nearest() -> None:
    with pytest.raises(InputError, match="did you mean 'giglemiani2024'"):
        find_study("giglemiani")
    assert set(STUDIES) >= {"giglemiani2024"}


def test_a_foreign_model_must_bring_its_prompts() -> None:
    settings = settings_of({"study": "giglemiani2024", "model": "mine"}, "options")
    with pytest.raises(InputError, match="the prompts to use with 'mine'"):
        _ = settings.prompts_source
    assert not settings.has_sae


def test_the_paper_model_is_recognised_only_whole() -> None:
    def paper(**changes: object) -> bool:
        request = {"study": "giglemiani2024", "model": "gpt2", **changes}
        return is_published(settings_of(request, "options"), SETUP)

    assert paper()
    assert paper(read="blocks.11.hook_resid_post")
    assert paper(model="openai-community/gpt2")
    assert not paper(site="blocks.2.hook_resid_pre")
    assert not paper(coordinates="raw")
    assert not paper(model="demo")
    its_own = {"release": "gpt2-small-res-jb", "sae_id": "blocks.1.hook_resid_pre"}
    assert has_papers_sae(its_own)
    assert not has_papers_sae({**its_own, "sae_id": "blocks.2.hook_resid_pre"})
    assert not has_papers_sae({"source": "folder", "release": None, "sae_id": None})
    assert not has_papers_sae(None)


def test_a_run_folders_own_config_is_a_study(tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    path.write_text("format: 1\nasked: {study: giglemiani2024, samples: 7}\nresolved: {}\n")
    assert read_config(path) == {"study": "giglemiani2024", "samples": 7}


def test_a_local_path_is_the_same_however_it_was_typed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "model").mkdir()
    monkeypatch.chdir(tmp_path)
    spellings = ["model", "./model/", str(tmp_path / "model")]
    found = {Settings(model=spelling).model for spelling in spellings}
    assert found == {str((tmp_path / "model").resolve())}
    assert Settings().model == "demo"


@pytest.mark.parametrize(
    ("study", "key"),
    [
        ("giglemiani2024", "step_size"),
        ("giglemiani2024", "threshold"),
        ("heimersheim2024", "level"),
        ("lee2024", "scale"),
    ],
)
@pytest.mark.parametrize("value", [float("inf"), float("nan")])
def test_what_is_not_finite_is_refused(study: str, key: str, value: float) -> None:
    with pytest.raises(InputError, match=f"{key}: {value}"):
        settings_of({"study": study, key: value}, "here")


def test_lengths_are_finite() -> None:
    with pytest.raises(InputError, match="inf"):
        settings_of({"study": "lee2024", "lengths": [1.0, float("inf")]}, "here")


def test_a_key_that_is_there_twice_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "study.yaml"
    file.write_text("study: janiak2024\nseed: 1\nsamples: 5\nseed: 2\n")
    with pytest.raises(InputError, match="'seed' twice"):
        read_config(file)
