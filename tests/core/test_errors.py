from __future__ import annotations

import pickle

from steppe.core.errors import InputError, MissingExtraError, RunFailedError


def test_an_error_says_where_what_came_what_was_expected_and_how_to_mend_it() -> None:
    error = InputError("--samples", got="1", expected="at least 2", fix="ask for more")
    assert str(error).splitlines() == [
        "--samples",
        "  got:      1",
        "  expected: at least 2",
        "  fix:      ask for more",
    ]


def test_exit_statuses() -> None:
    assert InputError.exit_status == 2
    assert RunFailedError.exit_status == 1


def test_a_missing_extra_prints_the_install_line() -> None:
    error = MissingExtraError("prompts", package="datasets", extra="datasets")
    assert "pip install 'steppe[datasets]'" in str(error)


def test_an_error_keeps_its_kind_and_text_in_another_process() -> None:
    for error in (
        InputError("--samples", got="1", expected="at least 2", fix="ask for more"),
        MissingExtraError("prompts", package="datasets", extra="datasets"),
        RunFailedError("writing x", got="full", expected="room", fix="free some"),
    ):
        again = pickle.loads(pickle.dumps(error))
        assert type(again) is type(error)
        assert str(again) == str(error)


def test_an_error_says_in_a_line_what_it_arose_from_here_and_in_another_process() -> None:
    error = InputError("weights x", got="no tensors", expected="tensors", fix="fetch them again")
    assert error.cause == ""
    error.__cause__ = KeyError("su2")
    assert error.cause == "KeyError: 'su2'"
    again = pickle.loads(pickle.dumps(error))
    assert again.cause == "KeyError: 'su2'"
    assert "KeyError: 'su2'" in str(again.__cause__)


def test_a_cause_that_the_message_tells_is_not_told_twice() -> None:
    error = InputError("x", got="no  such\nfile", expected="a file", fix="check the path")
    error.__cause__ = OSError("no such file")
    assert error.cause == ""
    row = InputError("x, row 3", got="no text", expected="text", fix="remove the row")
    error = InputError("x, row 3", got="no text (2 of 9 rows)", expected="text", fix="remove it")
    error.__cause__ = row
    assert error.cause == ""
    long = "a reason of another library " * 20
    error = InputError("x", got=f"{long[:300]} ...", expected="a file", fix="check the path")
    error.__cause__ = ValueError(long)
    assert error.cause == ""
