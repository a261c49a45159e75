from __future__ import annotations

from typing import get_args

import pytest

from steppe.core.engines import ENGINES, Engine, parse_engine
from steppe.core.errors import InputError


def test_every_engine_has_a_name_and_a_line() -> None:
    assert list(ENGINES) == list(get_args(Engine))
    assert [parse_engine(name) for name in ENGINES] == list(ENGINES)


def test_another_name_is_refused() -> None:
    with pytest.raises(InputError) as caught:
        parse_engine("fasst")
    assert str(caught.value) == (
        "engine\n"
        "  got:      'fasst'\n"
        "  expected: auto, fast, general, full\n"
        "  fix:      did you mean 'fast'?"
    )
