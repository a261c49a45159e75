import numpy as np
import pytest

from steppe.comparisons import Resamples
from steppe.recipes.deciding import COLUMNS, Decision, claims_frame, decide, multiplicity_text


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
    table = claims_frame([row], "quantity")
    assert tuple(table.columns) == (*COLUMNS, "quantity")
    assert table.iloc[0][["id", "verdict", "verdict_holm"]].tolist() == ["X1", "holds", "holds"]


@pytest.mark.parametrize("rounded", [False, True])
def test_p_is_below_five_percent_exactly_where_the_interval_leaves_out_zero(rounded):
    generator = np.random.default_rng(1)
    decisions = []
    for _ in range(300):
        number = generator.normal() * 2
        drawn = number + generator.normal(size=200) + generator.normal() * 0.3
        made = Decision.of_resamples(
            *((round(number), drawn.round()) if rounded else (number, drawn))
        )
        decisions.append(made)
        assert (made.p < 0.05) == (made.verdict in {"holds", "does not hold"}), made
    assert {one.verdict for one in decisions} == {"holds", "does not hold", "undecided"}


def test_holm_leaves_the_clear_verdicts_and_counts_only_what_was_tested():
    made = [
        Decision(1.0, 0.5, 1.5, 0.001).row("A", "."),
        Decision(1.0, 0.1, 1.9, 0.02).row("B", "."),
        Decision(-1.0, -1.9, -0.1, 0.03).row("C", "."),
        Decision(0.0, -1.0, 1.0, 1.0).row("D", "."),
        Decision(np.nan, np.nan, np.nan, np.nan).row("E", "."),
    ]
    table = claims_frame(made)
    assert table["verdict_holm"].tolist() == ["holds", *["undecided"] * 3, "undefined"]
    text = multiplicity_text(table)
    assert "Of 4 claims decided one by one at 95%, 2 hold, 1 do not hold, 1 are undecided." in text
    assert "about 0.1 verdicts of 'holds'" in text
    assert text.endswith("1 hold, 0 do not hold, 3 are undecided.")
