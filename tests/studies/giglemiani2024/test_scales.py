from __future__ import annotations

from types import SimpleNamespace

import pytest

from steppe.studies.giglemiani2024 import scales as scales_module
from steppe.studies.giglemiani2024.scales import choose, prepare
from steppe.studies.giglemiani2024.settings import Settings

TYPICAL = {"pairs": 200, "target_distance": 10.0, "output_distance": 47.4, "cosine": 0.3}


def test_the_paper_keeps_its_constants() -> None:
    scales = choose(Settings(model="gpt2"), TYPICAL, is_paper=True)
    assert (scales["step_size"], scales["threshold"], scales["cosine"]) == (0.5, 20.0, 0.42)
    assert scales["sweep"] == [10.0, 20.0, 30.0, 40.0]
    assert (scales["min_slope"], scales["output_ratio"]) == (0.02, 1.0)


@pytest.mark.parametrize(("is_paper", "step_size"), [(True, 0.5), (False, 0.125)])
def test_without_an_sae_the_papers_model_keeps_its_lengths(
    monkeypatch: pytest.MonkeyPatch, is_paper: bool, step_size: float
) -> None:
    monkeypatch.setattr(scales_module, "typical", lambda _context: TYPICAL | {"cosine": None})
    settings = Settings(model="gpt2", paper_settings=is_paper)
    found = prepare(SimpleNamespace(settings=settings, needs=frozenset()))
    assert found["step_size"] == step_size
    assert "top_cosine" not in found


def test_another_model_scales_them_by_its_own_distances() -> None:
    scales = choose(Settings(), TYPICAL, is_paper=False)
    assert scales["step_size"] == pytest.approx(0.5 * 10 / 40)
    assert scales["threshold"] == pytest.approx(20 * 47.4 / 237)
    assert scales["min_slope"] == pytest.approx(0.02 * 47.4 / 237)
    assert scales["cosine"] == 0.3
    assert "scaled to this model" in scales["origin"]


def test_what_is_asked_for_wins_and_is_said() -> None:
    scales = choose(Settings(step_size=0.1, threshold=3.0), TYPICAL, is_paper=False)
    assert (scales["step_size"], scales["threshold"]) == (0.1, 3.0)
    assert scales["sweep"] == pytest.approx([1.5, 3.0, 4.5, 6.0])
    assert "step size 0.1 as asked; threshold 3 as asked" in scales["origin"]
