"""The phenomena's numbers: censored and undefined curves are counted, never given a step."""

from __future__ import annotations

import csv
import io

import numpy as np
import pytest

import phenomena
from model_training.corpus import load_or_train_tokenizer, read_books
from model_training.hub_folder import write_model_folder
from model_training.language_model import Shape, initial_weights

SHAPE = Shape(layers=3, width=32, heads=2, vocabulary=280, positions=16)
STEPS = np.arange(100, dtype=np.float32)


def rising_at(*steps: float) -> np.ndarray:
    """Curves of slope 1 that reach 0.5 at the steps given; infinity: never."""
    rows = [np.zeros(100) if np.isinf(at) else np.maximum(STEPS - at + 0.5, 0) for at in steps]
    return np.array(rows, dtype=np.float32)


def test_curves_that_never_cross_are_later_than_any_and_counted() -> None:
    found = phenomena._plateaus(
        {"real": rising_at(40, 60, np.inf, np.inf), "random": rising_at(10, 20, 30, np.inf)}
    )
    assert np.isnan(found["plateau_real"])
    assert found["plateau_real_never"] == 2
    assert found["plateau_random"] == 30
    assert found["plateau_random_never"] == 1
    # At step 30, three quarters of the random ones have crossed and none of the real ones.
    assert found["plateau_ks"] == pytest.approx(0.75)


def test_curves_that_do_not_rise_have_no_step_and_are_counted() -> None:
    steps, flat = rising_at(20, 40), rising_at(np.inf)
    curves = {"real": {"l2": steps, "kl": flat}, "random": {"l2": flat, "kl": flat}}
    found = phenomena._blowups(curves)
    assert found["ms_real"] == pytest.approx(31)
    assert (found["ms_real_none"], found["ms_random_none"], found["ms_kl_none"]) == (0, 1, 2)
    assert all(np.isnan(found[name]) for name in ("ms_random", "ms_random_std", "ms_ks"))


@pytest.fixture(scope="module")
def measured(tmp_path_factory, text_files) -> dict[str, dict[str, str]]:
    """Rows of an untrained model and of one with large weights."""
    folder = tmp_path_factory.mktemp("models")
    books = read_books(text_files["train"])
    tokenizer = load_or_train_tokenizer(folder / "tokenizer.json", books, SHAPE.vocabulary)
    weights = initial_weights(SHAPE, seed=0)
    write_model_folder(folder / "untrained", weights, SHAPE, tokenizer)
    large = {name: 8 * tensor for name, tensor in weights.items()}
    write_model_folder(folder / "large", large, SHAPE, tokenizer)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("sys.stdout", printed := io.StringIO())
        models = [str(folder / name) for name in ("untrained", "large")]
        phenomena.main([*models, "--prompts", str(text_files["held_out"]), "--samples", "12"])
    rows = csv.DictReader(io.StringIO(printed.getvalue()))
    return {row["model"]: row for row in rows}


def test_an_untrained_model_has_no_crossing(measured) -> None:
    row = measured["untrained"]
    assert (row["plateau_real"], row["plateau_real_never"], row["samples"]) == ("nan", "12", "12")
    assert float(row["plateau_ks"]) == 0


def test_a_model_that_answers_has_crossings(measured) -> None:
    row = measured["large"]
    assert int(row["plateau_real_never"]) < 6
    assert 0 < float(row["plateau_real"]) < 99
    assert 0 <= float(row["ms_ks"]) <= 1
    assert int(row["ms_real_none"]) == 0
