"""What an SAE was trained to match is known from its file, its release or its name."""

from __future__ import annotations

import pytest
import torch

from steppe.sae.config import SaeConfig
from steppe.sae.model import Sae, SaeIdentity
from steppe.sae.objective import objective_of


def made(source: str, release: str | None = None, objective: str | None = None) -> Sae:
    weights = {"W_dec": torch.zeros(4, 2)}
    config = SaeConfig("standard", 2, 4, objective=objective)
    return Sae(config, weights, SaeIdentity(source, "0", release))


@pytest.mark.parametrize(
    ("source", "release", "objective", "expected"),
    [
        ("anything", "gpt2-small-res_sle-ajt", None, "e2e"),
        ("anything", "gpt2-small-res_scefr-ajt", None, "e2e_ds"),
        ("anything", "gpt2-small-res-jb", None, "local"),
        ("/my/saes/mine-e2e", None, None, "e2e"),
        ("/my/saes/mine-e2e-ds", None, None, "e2e_ds"),
        ("/my/saes/mine-e2e", None, "local", "local"),
    ],
)
def test_by_file_release_and_name(
    source: str, release: str | None, objective: str | None, expected: str
) -> None:
    assert objective_of(made(source, release, objective)) == expected
