import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.stats import binom, binomtest

from steppe.study.verdicts import COLUMNS, Decision, claims_frame, multiplicity_text


def won(wins: int, losses: int, ties: int = 0) -> NDArray[np.float64]:
    return np.repeat([1.0, 0.0, 0.5], [wins, losses, ties])


@pytest.mark.parametrize(("wins", "losses"), [(61, 39), (60, 40), (6, 0), (5, 0), (7, 1), (2, 9)])
def test_a_share_is_decided_by_the_exact_test(wins: int, losses: int) -> None:
    decision, exact = Decision.of_share(won(wins, losses)), binomtest(wins, wins + losses)
    interval = exact.proportion_ci()
    assert decision.number == pytest.approx(wins / (wins + losses) - 0.5)
    assert (decision.low, decision.high) == pytest.approx((interval.low - 0.5, interval.high - 0.5))
    assert decision.p == pytest.approx(exact.pvalue)
    assert (decision.p < 0.05) == (decision.verdict != "undecided")


@pytest.mark.parametrize("count", [6, 7, 8, 12, 100, 120, 500])
def test_no_number_of_samples_is_decided_too_often(count: int) -> None:
    chances = binom.pmf(range(count + 1), count, 0.5)
    holds = [Decision.of_share(won(k, count - k)).verdict == "holds" for k in range(count + 1)]
    assert 0.003 < chances[holds].sum() <= 0.025


def test_ties_count_half_and_are_no_evidence() -> None:
    without, tied = Decision.of_share(won(20, 5)), Decision.of_share(won(20, 5, 25))
    assert tied.number == pytest.approx(without.number / 2)
    assert tied.p == pytest.approx(without.p)
    assert (tied.low, tied.high) == pytest.approx((without.low / 2, without.high / 2))
    assert Decision.of_share(won(0, 0, 9)).verdict == "undecided"


def test_what_is_undefined_is_no_verdict() -> None:
    assert Decision.of_share(np.full(5, np.nan)).verdict == "undefined"
    holes = Decision.of_share(np.append(won(61, 39), np.nan))
    assert holes == Decision.of_share(won(61, 39))


def test_a_row_begins_with_the_shared_columns():
    row = Decision.of_share(won(9, 0)).row("X1", "It is so.", quantity="gap")
    table = claims_frame([row], "quantity")
    assert tuple(table.columns) == (*COLUMNS, "quantity")
    assert table.iloc[0][["id", "verdict", "verdict_holm"]].tolist() == ["X1", "holds", "holds"]


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
    assert "of a run of some parts only they are fewer" in text
    assert text.endswith("1 hold, 0 do not hold, 3 are undecided.")
