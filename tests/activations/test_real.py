"""Real targets are drawn per sample, and again where they are the base itself."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from steppe.activations.real import draw_real_targets
from steppe.core.errors import InputError
from steppe.core.seeds import stream

CANDIDATES = torch.arange(30.0).reshape(10, 3)


def generators(count: int) -> list[np.random.Generator]:
    return [stream(0, "real_target", sample) for sample in range(count)]


def test_targets_are_candidates_and_never_the_base() -> None:
    base = CANDIDATES[[4] * 400]
    drawn = draw_real_targets(base, CANDIDATES, generators(400))
    assert torch.equal(drawn.targets, CANDIDATES[torch.from_numpy(drawn.indices)])
    assert set(drawn.indices.tolist()) == set(range(10)) - {4}
    assert drawn.redraws.sum() > 0


def test_the_first_draw_stands_where_it_differs() -> None:
    base = CANDIDATES[[4] * 400] + 0.5
    drawn = draw_real_targets(base, CANDIDATES, generators(400))
    assert not drawn.redraws.any()
    expected = [int(generator.integers(10)) for generator in generators(400)]
    assert drawn.indices.tolist() == expected


def test_adding_a_sample_changes_no_other() -> None:
    base = CANDIDATES[[4] * 30]
    whole = draw_real_targets(base, CANDIDATES, generators(30))
    part = draw_real_targets(base[:5], CANDIDATES, generators(5))
    assert torch.equal(whole.targets[:5], part.targets)


@pytest.mark.parametrize("count", [0, 3])
def test_only_the_base_to_choose_from(count: int) -> None:
    with pytest.raises(InputError) as caught:
        draw_real_targets(CANDIDATES[:1], CANDIDATES[[0] * count], generators(1))
    assert caught.value.place == "real target of sample 0"
    assert caught.value.got.startswith(f"{count} candidates")
