"""What is said when memory runs out while a shard is computed."""

from __future__ import annotations

import pytest
import torch

from steppe.core.errors import RunFailedError
from steppe.execution.serial import telling_of_memory


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB"),
        RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes"),
    ],
)
def test_memory_that_is_not_enough_is_told(error: Exception) -> None:
    with pytest.raises(RunFailedError) as caught, telling_of_memory("curves, shard 3"):
        raise error
    assert caught.value.place == "curves, shard 3"
    assert caught.value.got.startswith("out of memory: ")
    assert "give the same command again: finished shards are kept" in caught.value.fix


def test_other_failures_stay_what_they_are() -> None:
    with pytest.raises(RuntimeError, match="shapes"), telling_of_memory("curves, shard 3"):
        raise RuntimeError("shapes do not fit")
