from __future__ import annotations

import pytest

from steppe.core.errors import InputError
from steppe.core.readings import check_reading


def test_the_two_readings() -> None:
    assert [check_reading("code"), check_reading("text")] == ["code", "text"]


def test_a_third_is_refused() -> None:
    with pytest.raises(InputError, match=r"'paper'\n.*'code' or 'text'"):
        check_reading("paper")
