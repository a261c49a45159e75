"""Every study is shared out among parts without changing a bit, and one among Ray's workers."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from steppe.core.parts import Part
from steppe.execution.run import run_study
from steppe.execution.workers import Workers
from steppe.settings.catalogue import STUDIES
from steppe.settings.configuration import settings_of
from steppe.store import Opening, open_run

# Small, with several shards, and every part that has shards of its own.
# Directions from prompts of token ids: the tiny model has no tokenizer.
PAIRS = "".join(
    json.dumps({"name": f"set{n}", "positive": [n, n + 1, 7], "negative": [n + 2, n, 9]}) + "\n"
    for n in range(8)
    for _ in range(2)
)

SMALL: dict[str, dict[str, Any]] = {
    "compositions": {"samples": 24, "moments_samples": 100, "bootstrap": 100},
    "ferreira2026": {
        "samples": 24, "pairs": 2, "n_points": 7, "melbo_steps": 2, "moments_samples": 100,
        "bootstrap": 100,
    },
    "giglemiani2024": {"samples": 40, "bootstrap": 100},
    "heimersheim2024": {
        "samples": 12, "n_points": 21, "draws": 2, "families": 1, "planes": 2, "plane_points": 5,
        "examples": 2, "example_draws": 2, "triangles": 2, "subdivisions": 2, "ascent_bases": 2,
        "ascent_starts": 2, "ascent_steps": 11, "artificial_draws": 1, "control_samples": 100,
        "encoded": 30, "level": 0.3, "bootstrap": 100,
    },
    "janiak2024": {
        "samples": 24, "n_points": 5, "planes": 2, "plane_points": 5, "moments_samples": 100,
        "bootstrap": 100,
    },
    "lee2024": {
        "samples": 6, "prompt_length": 10, "moments_samples": 500, "lengths": [1, 51],
    },
    "sae_scores": {
        "samples": 6, "sequences": 4, "anchors": 2, "pairs": 2, "prompt_length": 10, "draws": 2,
        "moments_samples": 500, "lengths": [11], "latent_prompts": 2, "bootstrap": 100,
        # A random SAE, whose latents may all be active.
        "accept_sae": True,
    },
    "shinkle2025": {
        "samples": 24, "n_points": 4, "jacobian_samples": 2, "jacobian_points": 3, "probes": 2,
        "bootstrap": 100,
    },
}  # fmt: skip


@pytest.fixture(scope="module", autouse=True)
def no_reports() -> Iterator[None]:
    """Without reports, which take longest here, and with as many threads as before."""
    before = torch.get_num_threads()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("steppe.execution.computing._report", lambda _study, _part: True)
        yield
    torch.set_num_threads(before)


def run(study: str, tiny_files: Any, folder: Path, *workers: Workers) -> Path:
    files = {
        "model": str(tiny_files.model),
        "prompts": str(tiny_files.prompts),
    }
    if study not in ("janiak2024", "shinkle2025"):
        files["sae"] = str(tiny_files.sae)
    if study == "ferreira2026":
        pairs = folder.with_suffix(".jsonl")
        pairs.write_text(PAIRS)
        files["contrastive"] = [str(pairs)]
    asked = {"study": study, "device": "cpu", **files, **SMALL[study]}
    for one in workers:
        outcome = run_study(settings_of(asked, "test"), Opening(folder), one)
        assert outcome.computed > 0
    return folder


@pytest.fixture(scope="module", params=sorted(STUDIES))
def alone(
    request: pytest.FixtureRequest, tiny_files: Any, tmp_path_factory: pytest.TempPathFactory
) -> tuple[str, Path]:
    """A study, and its run by this process alone."""
    folder = tmp_path_factory.mktemp(request.param) / "alone"
    return request.param, run(request.param, tiny_files, folder, Workers(threads=1))


def assert_same(found: Path, expected: Path) -> None:
    one, other = open_run(found), open_run(expected)
    assert other.datasets()
    assert one.datasets() == other.datasets()
    for name in other.datasets():
        for variable, values in other.dataset(name).load().variables.items():
            np.testing.assert_array_equal(
                one.dataset(name).variables[variable].values, values.values, err_msg=name
            )


def test_two_parts_are_the_whole(alone: tuple[str, Path], tiny_files: Any, tmp_path: Path) -> None:
    study, expected = alone
    parts = [Workers(threads=1, part=Part(index, 2)) for index in (1, 0)]
    assert_same(run(study, tiny_files, tmp_path / "parts", *parts), expected)


# One study of several sites and SAEs stands for all: one class runs every study, and how samples
# are drawn whoever computes them is what the parts above compare.
@pytest.mark.parametrize("alone", ["lee2024"], indirect=True, scope="module")
@pytest.mark.filterwarnings("ignore")
def test_rays_workers_change_no_bit(
    alone: tuple[str, Path], tiny_files: Any, tmp_path: Path
) -> None:
    study, expected = alone
    assert_same(run(study, tiny_files, tmp_path / "ray", Workers("ray", 2, 1)), expected)
