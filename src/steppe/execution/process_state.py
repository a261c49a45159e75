"""What a study sets for the whole process is given back when its call ends."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch

from steppe.propagation.plan import asked_memory_budget, set_memory_budget

_RAY = "RAY_"


@contextmanager
def process_state_kept() -> Iterator[None]:
    """Give back, also after an error, what belongs to the caller's process.

    That is the number of threads, the precision of float32 products, the memory budget, the current
    folder, and the environment variables of Ray.
    """
    threads = torch.get_num_threads()
    precision = torch.get_float32_matmul_precision()
    budget = asked_memory_budget()
    folder = Path.cwd()
    variables = _ray_variables()
    try:
        yield
    finally:
        torch.set_num_threads(threads)
        torch.set_float32_matmul_precision(precision)
        set_memory_budget(budget)
        os.chdir(folder)
        for name in _ray_variables().keys() - variables.keys():
            del os.environ[name]
        os.environ.update(variables)


def _ray_variables() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if name.startswith(_RAY)}
