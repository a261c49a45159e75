from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
import torch

from steppe.core.errors import RunFailedError
from steppe.core.sites import Site
from steppe.models import Model, load_model
from steppe.propagation import Suffix, build_prefix, set_memory_budget
from steppe.propagation.plan import free_memory, memory_budget, points_per_batch

SITE = Site.parse("resid_pre:1")
LAST = Site.parse("blocks.last.hook_resid_post")
TOKENS = torch.arange(10)


@pytest.fixture(autouse=True)
def _default_budget() -> Iterator[None]:
    yield
    set_memory_budget(None)


def path(model: Model, n_points: int = 40) -> tuple[Any, torch.Tensor]:
    prefix = build_prefix(model, TOKENS, SITE)
    steps = torch.arange(n_points)[:, None] / 10
    return prefix, prefix.base + steps * torch.linspace(-1.0, 1.3, model.d_model).cos()


def test_batches_follow_from_shapes_and_from_the_budget(gpt2: Model) -> None:
    assert points_per_batch(gpt2, 40, 2**20) == 40
    assert points_per_batch(gpt2, 1000, 2**20) == 256
    assert points_per_batch(gpt2, 3, 2**30) == 1
    set_memory_budget(10 * 2**20)
    assert memory_budget(torch.device("cpu")) == 10 * 2**20
    assert points_per_batch(gpt2, 40, 2**20) == 10
    assert points_per_batch(gpt2, 40, 2**25) == 1


@pytest.mark.parametrize(("dtype", "told"), [("bfloat16", 1), ("float32", 0)])
def test_memory_that_decides_digits_is_told_once(
    gpt2: Model, capsys: pytest.CaptureFixture[str], dtype: str, told: int
) -> None:
    model = load_model(gpt2.hf_model, dtype=dtype, device="cpu")
    prefix, points = path(model)
    with Suffix(model, SITE, read=[LAST]) as suffix:
        whole = suffix(prefix, points, path_length=len(points))
        assert not capsys.readouterr().err
        set_memory_budget(2**16)
        for _ in range(2):
            small = suffix(prefix, points, path_length=len(points))
    assert capsys.readouterr().err.count("points of a path at once") == told
    same = torch.equal(small.residuals[LAST.name], whole.residuals[LAST.name])
    assert same == (dtype == "float32")


def test_without_a_budget_half_of_what_is_free_may_be_used() -> None:
    free = free_memory(torch.device("cpu"))
    assert 2**20 < free < 2**50
    assert 0.3 < memory_budget(torch.device("cpu")) / free < 0.7


@pytest.mark.parametrize("budget", [2**16, 2**14, 1])
def test_the_batch_size_changes_nothing_beyond_rounding(gpt2: Model, budget: int) -> None:
    prefix, points = path(gpt2)
    with Suffix(gpt2, SITE, read=[LAST], logits=True) as suffix:
        whole = suffix(prefix, points)
        set_memory_budget(budget)
        parts = list(suffix.batches(prefix, points))
        small = suffix(prefix, points)
    assert len(parts) > 1
    assert [steps.start for steps, _ in parts[1:]] == [steps.stop for steps, _ in parts[:-1]]
    for found, expected in (
        (small.residuals[LAST.name], whole.residuals[LAST.name]),
        (small.logits, whole.logits),
    ):
        assert found is not None
        assert expected is not None
        assert found.shape == expected.shape
        assert float((found - expected).abs().max() / expected.abs().max()) < 1e-6
    for steps, outputs in parts:
        rows = outputs.residuals[LAST.name]
        assert len(rows) == steps.stop - steps.start + (steps.start > 0)
        torch.testing.assert_close(rows[0], whole.residuals[LAST.name][0])


def fail_above(model: Model, largest: int, kind: type[RuntimeError], text: str) -> Any:
    def fail(_module: Any, args: Any, _output: Any) -> None:
        if len(args[0]) > largest:
            raise kind(text)

    return model.anatomy.blocks[1].register_forward_hook(fail)


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        (torch.OutOfMemoryError, "CUDA out of memory"),
        (RuntimeError, "[enforce fail] DefaultCPUAllocator: can't allocate memory"),
        (RuntimeError, "DefaultCPUAllocator: not enough memory: you tried to allocate 9 bytes."),
    ],
)
def test_running_out_of_memory_halves_the_batch(
    gpt2: Model, kind: type[RuntimeError], text: str
) -> None:
    prefix, points = path(gpt2)
    with Suffix(gpt2, SITE, read=[LAST]) as suffix:
        expected = suffix(prefix, points).residuals[LAST.name]
        handle = fail_above(gpt2, 12, kind, text)
        try:
            sizes = [steps.stop - steps.start for steps, _ in suffix.batches(prefix, points)]
            found = suffix(prefix, points).residuals[LAST.name]
        finally:
            handle.remove()
    assert sizes == [10, 10, 10, 10]
    assert float((found - expected).abs().max() / expected.abs().max()) < 1e-6


def test_when_not_even_one_point_fits_it_is_said(gpt2: Model) -> None:
    prefix, points = path(gpt2)
    handle = fail_above(gpt2, 0, RuntimeError, "can't allocate memory")
    try:
        with (
            Suffix(gpt2, SITE, read=[LAST]) as suffix,
            pytest.raises(RunFailedError) as caught,
        ):
            suffix(prefix, points)
    finally:
        handle.remove()
    assert str(caught.value) == (
        "memory of cpu\n"
        "  got:      none left for a single point\n"
        "  expected: about 0 MiB beyond the weights\n"
        "  fix:      use shorter prompts, --dtype bfloat16, or a machine with more memory"
    )


@pytest.mark.parametrize("engine", ["general", "full"])
def test_engines_agree(family_model: Model, engine: Any) -> None:
    for position in (-1, 4, "all"):
        site = replace(SITE, position=position)
        outputs = []
        for model in (family_model, replace(family_model, engine=engine)):
            prefix = build_prefix(model, TOKENS, site)
            steps = torch.arange(3).reshape(-1, *[1] * prefix.base.ndim)
            points = prefix.base + steps * torch.linspace(-1.0, 1.3, model.d_model).cos()
            with Suffix(model, site, read=[LAST], logits=True) as suffix:
                outputs.append(suffix(prefix, points))
        fast, other = (one.residuals[LAST.name] for one in outputs)
        assert float((fast - other).abs().max() / other.abs().max()) < 1e-5
        fast, other = (one.logits for one in outputs)
        assert float((fast - other).abs().max() / other.abs().max()) < 1e-5


def test_threads_change_nothing_beyond_rounding(gpt2: Model) -> None:
    threads = torch.get_num_threads()
    prefix, points = path(gpt2)
    found = []
    with Suffix(gpt2, SITE, read=[LAST]) as suffix:
        try:
            for count in (1, 2, 3):
                torch.set_num_threads(count)
                found.append(suffix(prefix, points).residuals[LAST.name])
        finally:
            torch.set_num_threads(threads)
    for other in found[1:]:
        assert float((other - found[0]).abs().max() / found[0].abs().max()) < 1e-6
