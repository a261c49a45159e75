"""The snippets of docs/tasks.md run as they are, and do what their headings say."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest


@pytest.fixture(scope="module")
def names(run_snippets: Any, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What the snippets define."""
    defined: dict[str, Any] = run_snippets("tasks.md", 13, tmp_path_factory.mktemp("tasks"))
    return defined


def test_paths_begin_at_the_base_and_keep_to_their_form(names: dict[str, Any]) -> None:
    base, path, turned = names["base"], names["path"], names["turned"]
    assert np.allclose(path[:, 0], base, atol=1e-4)
    norms = np.linalg.norm(turned, axis=-1)
    np.testing.assert_allclose(norms, norms[:, :1].repeat(37, 1), rtol=1e-4)
    for name in ("curves", "rotated", "several"):
        assert float(abs(next(iter(names[name].values())).isel(step=0)).max()) == 0


def test_several_sites_and_the_probability_of_a_word(names: dict[str, Any]) -> None:
    assert len(names["several"].data_vars) == 3
    probability = names["watched"].to_array()
    assert ((probability >= 0) & (probability <= 1)).all()
    likely = names["outputs"].logits.double().softmax(-1)[..., names["word"][0]]
    np.testing.assert_allclose(probability.values[0], likely.numpy(), rtol=1e-4, atol=1e-7)


def test_kinds_are_compared_and_numbers_kept(names: dict[str, Any]) -> None:
    table = names["table"]
    assert list(table["kind"]) == ["real", "mean"]
    assert (table["n"] == 8).all()
    with np.load(names["FOLDER"] / "curves.npz") as kept:
        np.testing.assert_array_equal(kept["kl"], names["curves"]["kl"].values)
