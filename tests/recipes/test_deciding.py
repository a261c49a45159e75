import numpy as np
import pytest

from steppe.comparisons import Resamples
from steppe.recipes.deciding import COLUMNS, decide


def mean_gap(values):
    return float(values["a"].mean() - values["b"].mean())


def decided(shift: float):
    generator = np.random.default_rng(0)
    shared = generator.normal(size=200) * 10
    values = {"a": shared + shift + generator.normal(size=200), "b": shared}
    return decide(mean_gap, values, Resamples.draw(200, 500, generator))


@pytest.mark.parametrize(
    ("shift", "verdict"), [(1.0, "holds"), (-1.0, "does not hold"), (0.0, "undecided")]
)
def test_the_sign_of_the_whole_interval_decides(shift, verdict):
    decision = decided(shift)
    assert decision.low < decision.number < decision.high
    assert decision.verdict == verdict


def test_samples_are_drawn_in_pairs():
    # The samples scatter by 10; their paired difference by 1.
    decision = decided(1.0)
    assert decision.high - decision.low < 0.5


def test_what_is_undefined_is_no_verdict():
    values = {"a": np.ones(5)}
    drawn = Resamples.draw(5, 100, np.random.default_rng(0))
    decision = decide(lambda _: float("nan"), values, drawn)
    assert decision.verdict == "undefined"


def test_a_row_begins_with_the_shared_columns():
    row = decided(1.0).row("X1", "It is so.", quantity="gap")
    assert tuple(row) == (*COLUMNS, "quantity")
    assert row["id"] == "X1"
