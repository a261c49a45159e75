"""What the command line says about workers, and which GPU a process of torchrun is left."""

from __future__ import annotations

import pytest

from steppe.core.errors import InputError
from steppe.core.parts import Part
from steppe.execution.workers import Workers, memory_budget_of, workers_of


def test_workers_are_read() -> None:
    assert workers_of("serial", None, None, {}) == Workers()
    assert workers_of("ray", None, 2, {}) == Workers("ray", None, 2)
    assert workers_of("ray:8", None, None, {}) == Workers("ray", 8)
    assert workers_of("serial", "1/4", None, {}).part == Part(1, 4)


@pytest.mark.parametrize("text", ["dask", "ray:0", "ray:x", "serial:2", ""])
def test_other_workers_are_refused(text: str) -> None:
    with pytest.raises(InputError, match="serial, ray, or ray:<count>"):
        workers_of(text, None, None, {})


@pytest.mark.parametrize(("visible", "left"), [(None, "1"), ("4,6", "6"), ("4", "4"), ("", "")])
def test_a_process_of_torchrun_takes_its_part_and_its_gpu(visible: str | None, left: str) -> None:
    environment = {"RANK": "5", "WORLD_SIZE": "8", "LOCAL_RANK": "1"}
    if visible is not None:
        environment["CUDA_VISIBLE_DEVICES"] = visible
    assert workers_of("serial", None, None, environment).part == Part(5, 8)
    assert environment["CUDA_VISIBLE_DEVICES"] == left


def test_a_part_that_is_asked_for_comes_before_torchruns() -> None:
    environment = {"RANK": "5", "WORLD_SIZE": "8", "LOCAL_RANK": "1"}
    assert workers_of("serial", "0/2", None, environment).part == Part(0, 2)
    assert "CUDA_VISIBLE_DEVICES" not in environment


@pytest.mark.parametrize(
    ("text", "count"),
    [(None, None), ("500MB", 500 * 10**6), ("4 GB", 4 * 10**9), ("1.5GiB", 3 * 2**29)],
)
def test_a_memory_budget_is_read(text: str | None, count: int | None) -> None:
    assert memory_budget_of(text) == count


def test_what_is_no_memory_budget_is_refused() -> None:
    with pytest.raises(InputError) as caught:
        memory_budget_of("much")
    assert str(caught.value) == (
        "--memory-budget\n"
        "  got:      'much'\n"
        "  expected: a number and a unit: kB, MB, GB or TB\n"
        "  fix:      give, for instance, --memory-budget 4GB, or leave it out"
    )
