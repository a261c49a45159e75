from __future__ import annotations

from typing import Any

import pytest

from steppe.core.errors import InputError
from steppe.settings.configuration import settings_of
from steppe.studies.lee2024.settings import PAPER_SAES, Settings


def settings(**asked: Any) -> Settings:
    return Settings.model_validate(asked)


def test_samples_and_lengths_are_the_papers_on_its_model() -> None:
    paper = settings(model="gpt2")
    assert paper.samples == 16_000
    assert paper.paper_lengths == (0, 1, 11, 21, 31, 41, 51, 61, 71, 81, 91, 101)
    assert paper.sae_sources == PAPER_SAES
    assert settings(model="gpt2", samples=7).samples == 7


def test_the_bundled_model_is_measured_on_a_coarser_grid() -> None:
    bundled = settings()
    assert bundled.samples == 64
    assert bundled.paper_lengths == (0, 1, 11, 21, 31, 51, 71, 101)
    assert bundled.sae_sources == ("demo",)


def test_the_authors_lengths() -> None:
    lengths = settings(lengths="authors").paper_lengths
    assert (lengths[1], lengths[-1], len(lengths)) == (1, 201, 22)


@pytest.mark.parametrize(
    ("key", "value", "told"),
    [
        ("only", ["figures"], "baselines"),
        ("lengths", [3, 2], "each longer than the one before"),
        ("lengths", [0, 1], "each longer than the one before"),
        ("site", "blocks.x", "blocks.<layer>.hook_resid_pre"),
    ],
)
def test_what_cannot_be_is_told(key: str, value: object, told: str) -> None:
    with pytest.raises(InputError, match=told):
        settings_of({"study": "lee2024", key: value}, "here")
