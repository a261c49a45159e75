"""Parts of a run's work leave nothing out and take nothing twice."""

from __future__ import annotations

import pytest

from steppe.core.errors import InputError
from steppe.core.parts import Part


@pytest.mark.parametrize(("items", "count"), [(0, 3), (5, 64), (64, 64), (1001, 64), (7, 1)])
def test_parts_cover_the_work_once(items: int, count: int) -> None:
    work = list(range(items))
    parts = [Part(index, count).of(work) for index in range(count)]
    assert sorted(item for part in parts for item in part) == work
    assert max(map(len, parts)) - min(map(len, parts)) <= 1


def test_a_part_is_read_as_index_and_count() -> None:
    assert Part.parse("3/64") == Part(3, 64)
    assert str(Part.parse(" 0/4 ")) == "part 0/4"
    assert str(Part()) == "the whole run"


@pytest.mark.parametrize("text", ["4/4", "1", "-1/4", "1/0", "a/b", "", "1/2/3", "1.5/2"])
def test_what_is_no_part_is_refused(text: str) -> None:
    with pytest.raises(InputError, match=r"index/count with an index from 0 to count - 1"):
        Part.parse(text)


def test_torchrun_says_which_part() -> None:
    assert Part.of_torchrun({"RANK": "1", "WORLD_SIZE": "4"}) == Part(1, 4)
    assert Part.of_torchrun({"RANK": "1"}) is None
    with pytest.raises(InputError):
        Part.of_torchrun({"RANK": "4", "WORLD_SIZE": "4"})


def test_parts_of_one_count_overlap_only_with_themselves() -> None:
    assert Part(1, 4).overlaps(Part(1, 4))
    assert not Part(1, 4).overlaps(Part(2, 4))
    assert Part(1, 4).overlaps(Part())
    assert Part(1, 4).overlaps(Part(2, 5))
