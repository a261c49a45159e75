"""The paper's model is known by its weights, whatever it is called and however it was saved."""

from __future__ import annotations

import shutil
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
from transformers import AutoModelForCausalLM

from steppe.models import load_model
from steppe.settings import papers_model
from steppe.settings.study_settings import PAPER_PROMPTS
from steppe.studies.giglemiani2024.settings import PAPER_SAE, SETUP
from steppe.studies.giglemiani2024.settings import Settings as Giglemiani
from steppe.studies.heimersheim2024.settings import Settings as Heimersheim
from steppe.studies.lee2024.measuring import lengths_of
from steppe.studies.lee2024.settings import PAPER_SAES
from steppe.studies.lee2024.settings import Settings as Lee
from steppe.studies.lee2024.study import STUDY
from steppe.study import is_published
from steppe.study.running import open_context
from steppe.study.starting import open_model


@pytest.fixture
def given(tiny_files: Any) -> dict[str, Any]:
    return {"sae": str(tiny_files.sae), "prompts": str(tiny_files.prompts), "device": "cpu",
            "prompt_length": 12}  # fmt: skip


@pytest.fixture
def tiny_is_the_papers(tiny_files: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    identity = load_model(tiny_files.model, device="cpu").identity
    monkeypatch.setattr(papers_model, "FINGERPRINT", identity.fingerprint)


def test_gpt2s_weights_are_the_papers_and_others_are_not() -> None:
    known = {"fingerprint": "0", "file_sha256": papers_model.FILE_SHA256}
    assert papers_model.is_papers_model(known)
    assert papers_model.is_papers_model({"fingerprint": papers_model.FINGERPRINT})
    assert not papers_model.is_papers_model({"name": "gpt2", "source": "hub", "fingerprint": "0"})


@pytest.mark.usefixtures("tiny_is_the_papers")
@pytest.mark.parametrize("study", [Giglemiani, Heimersheim, Lee])
def test_the_papers_model_saved_anew_in_any_folder_is_the_papers(
    study: type[Giglemiani], tiny_files: Any, given: dict[str, Any], tmp_path: Path
) -> None:
    hf_model = AutoModelForCausalLM.from_pretrained(tiny_files.model)
    hf_model.save_pretrained(tmp_path / "mine", max_shard_size="20KB")
    settings, model = open_model(study(model=str(tmp_path / "mine"), **given))
    assert model.identity.file_sha256 != papers_model.FILE_SHA256
    assert settings.is_paper
    assert settings.paper_settings is True


@pytest.mark.parametrize("study", [Giglemiani, Heimersheim, Lee])
def test_a_folder_called_gpt2_with_other_weights_is_not_the_papers(
    study: type[Giglemiani],
    tiny_files: Any,
    given: dict[str, Any],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    shutil.copytree(tiny_files.model, tmp_path / "gpt2")
    monkeypatch.chdir(tmp_path)
    settings, _ = open_model(study(model="gpt2", **given))
    assert settings.paper_settings is False
    assert not settings.is_paper


def test_what_the_user_says_decides() -> None:
    weights = {"fingerprint": papers_model.FINGERPRINT}
    assert not Lee(model="gpt2", paper_settings=False).decided(weights).is_paper
    mine = Lee(model="/some/where", paper_settings=True).decided({"fingerprint": "0"})
    assert mine.is_paper
    assert mine.samples == 16_000
    assert mine.sae_sources == PAPER_SAES
    assert mine.prompts_source == PAPER_PROMPTS


def test_everything_of_the_papers_hangs_on_the_one_decision() -> None:
    found = Lee(model="/some/where").decided({"fingerprint": papers_model.FINGERPRINT})
    assert (found.samples, found.paper_lengths[-1], len(found.paper_lengths)) == (16_000, 101, 12)
    assert not found.keeps_first
    other = Lee(model="gpt2").decided({"fingerprint": "0"})
    assert (other.samples, len(other.paper_lengths)) == (64, 8)
    assert other.keeps_first
    asked = Lee(model="/some/where", samples=7)
    assert asked.decided({"fingerprint": papers_model.FINGERPRINT}).samples == 7
    gigle = Giglemiani(model="/some/where").decided({"fingerprint": papers_model.FINGERPRINT})
    assert gigle.sae_source == PAPER_SAE
    assert is_published(gigle, SETUP)


@pytest.mark.usefixtures("tiny_is_the_papers")
@pytest.mark.parametrize(("asked", "is_papers"), [(None, True), (False, False)])
def test_lengths_are_the_papers_own_on_its_model_from_a_folder(
    tiny_files: Any, given: dict[str, Any], asked: bool | None, is_papers: bool
) -> None:
    context = open_context(STUDY, Lee(
        model=str(tiny_files.model), samples=4, paper_settings=asked, moments_samples=400, **given
    ))  # fmt: skip
    resolved = context.resolved()
    assert resolved["paper_settings"] is is_papers
    assert (resolved["scale"] == 1.0) is is_papers
    assert resolved["first_position"] == ("replaced" if is_papers else "kept")
    assert len(lengths_of(context)) == (12 if is_papers else 8)
    assert asdict(context.model.identity)["source"] != "hub"
