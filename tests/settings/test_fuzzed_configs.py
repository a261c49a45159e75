"""Whatever a config holds, the answer is settings or one error in words."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from steppe.core.errors import InputError
from steppe.settings.configuration import read_config, settings_of
from steppe.studies.giglemiani2024.settings import Settings

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=40)
    | st.binary(max_size=10) | st.dates(),
    lambda inner: st.lists(inner, max_size=4)
    | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)  # fmt: skip
KEYS = st.sampled_from(sorted(Settings.model_fields)) | st.text(max_size=12) | st.integers()
bounded = settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


@bounded
@given(st.dictionaries(KEYS, VALUES, max_size=5))
def test_any_mapping_is_settings_or_an_error_in_words(request_: dict[Any, Any]) -> None:
    try:
        settings_of({"study": "giglemiani2024", **request_}, "config")
    except InputError as error:
        told = str(error)
    else:
        told = ""
    assert len(told) < 20_000


@bounded
@given(st.binary(max_size=200) | st.text(max_size=200).map(str.encode))
def test_any_file_is_a_mapping_or_an_error_in_words(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "study.yaml"
    path.write_bytes(content)
    try:
        settings_of(read_config(path), "config")
    except InputError as error:
        told = str(error)
    else:
        told = ""
    assert len(told) < 20_000


def test_references_that_multiply_and_nesting_without_end(tmp_path: Path) -> None:
    path = tmp_path / "study.yaml"
    levels = "".join(f"{chr(98 + i)}: &{chr(98 + i)} [{','.join(['*' + chr(97 + i)] * 9)}]\n"
                     for i in range(8))  # fmt: skip
    path.write_text(f"study: giglemiani2024\na: &a [x,x,x]\n{levels}kinds: *i\n")
    with pytest.raises(InputError) as caught:
        settings_of(read_config(path), "config")
    assert len(str(caught.value)) < 20_000
    path.write_text("study: " + "[" * 5000)
    with pytest.raises(InputError):
        read_config(path)


def test_faults_of_every_kind_are_told_together() -> None:
    request = yaml.safe_load(
        "{study: giglemiani2024, kinds: [real, rondom], site: blocks.x, samples: many, sead: 3}"
    )
    with pytest.raises(InputError) as caught:
        settings_of(request, "config study.yaml")
    for text in ("'random'", "blocks.<layer>", "samples", "unknown key 'sead'", "perhaps 'seed'"):
        assert text in str(caught.value), str(caught.value)


@pytest.mark.parametrize(
    ("key", "value", "text"),
    [
        ("bootstrap", 10**30, "less than or equal to 1000000"),
        ("model", "a" * 300, "File name too long"),
        ("sae", "~no-such-user-7/x", "a name, or a path that can be"),
        ("prompts", "x" * 100_000, "File name too long"),
    ],
)
def test_values_that_would_hang_or_break_later(key: str, value: object, text: str) -> None:
    with pytest.raises(InputError) as caught:
        settings_of({"study": "giglemiani2024", key: value}, "config")
    assert text in str(caught.value)
    assert len(str(caught.value)) < 2000
