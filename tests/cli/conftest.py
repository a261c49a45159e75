"""Running the command line in this process."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import pytest

from steppe.cli.main import main


class Finished(NamedTuple):
    """What a command left behind."""

    status: int
    out: str
    err: str


@pytest.fixture
def steppe(capsys: pytest.CaptureFixture[str]) -> Callable[..., Finished]:
    def run(*words: Any) -> Finished:
        with pytest.raises(SystemExit) as end:
            main([str(word) for word in words])
        captured = capsys.readouterr()
        status = end.value.code
        return Finished(status if isinstance(status, int) else 0, captured.out, captured.err)

    return run
