from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from steppe.core.errors import InputError
from steppe.directions import Pairs, contrastive, read_pairs
from steppe.models import load_model

YAML = """
formality:
  towards: formal
  away_from: casual
  positive: [Good evening, I beg your pardon]
  negative: [Hey there, Oops]
ids:
  positive: [[1, 2], [3]]
  negative: [[4], [5, 6]]
"""


def written(folder: Path, name: str, text: str) -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def test_yaml_holds_sets_by_name(tmp_path: Path) -> None:
    found = read_pairs(written(tmp_path, "own.yaml", YAML))
    assert list(found) == ["formality", "ids"]
    assert found["formality"].prompts[0] == ("Good evening", "Hey there")
    assert (found["formality"].positive, found["formality"].negative) == ("formal", "casual")
    assert found["ids"].prompts == (((1, 2), (4,)), ((3,), (5, 6)))
    assert found["formality"].sha256 != found["ids"].sha256


def test_a_single_set_is_named_after_its_file(tmp_path: Path) -> None:
    path = written(tmp_path, "mood.yml", "positive: [good]\nnegative: [bad]\n")
    assert read_pairs(path)["mood"].prompts == (("good", "bad"),)


def test_jsonl_has_a_pair_a_line(tmp_path: Path) -> None:
    lines = (
        '{"name": "a", "positive": "yes", "negative": "no"}\n\n'
        '{"name": "b", "positive": "up", "negative": "down"}\n'
        '{"name": "a", "positive": "yea", "negative": "nay"}\n'
    )
    found = read_pairs(written(tmp_path, "own.jsonl", lines))
    assert found["a"].prompts == (("yes", "no"), ("yea", "nay"))
    assert found["b"].prompts == (("up", "down"),)


@pytest.mark.parametrize(
    ("name", "text", "match"),
    [
        ("a.yaml", "", "None"),
        ("a.yaml", "just text", "'just text'"),
        ("a.yaml", "x: [", "unreadable"),
        ("a.yaml", "x: !!python/object/apply:os.system [ls]", "unreadable"),
        ("a.yaml", "x: {positive: [a]}", "positive"),
        ("a.yaml", "x: {positive: [a, b], negative: [c]}", "2 positive and 1 negative"),
        ("a.yaml", "x: {positive: [], negative: []}", "no pair"),
        ("a.yaml", "x: {positive: [a], negative: [a]}", "same prompt on both sides: 'a'"),
        ("a.yaml", "x: {positive: [3.5], negative: [a]}", "3.5"),
        ("a.yaml", "x: {positive: [''], negative: [a]}", "''"),
        ("a.yaml", "x: {positive: [[]], negative: [a]}", r"\[\]"),
        ("a.yaml", "x: {positive: [[true]], negative: [a]}", "True"),
        ("a.yaml", "x: {positive: [a], negative: [b], towrads: c}", "towrads"),
        ("a.jsonl", '{"positive": "a"}', "line 1"),
        ("a.jsonl", '{"positive": "a", "negative": "b"}\n{oops', "line 2"),
        ("a.jsonl", "[1]", "line 1"),
        ("a.jsonl", "", r"\{\}"),
    ],
)
def test_what_is_no_pair_is_refused(name: str, text: str, match: str, tmp_path: Path) -> None:
    path = written(tmp_path, name, text)
    with pytest.raises(InputError, match=match) as caught:
        read_pairs(path)
    assert name in caught.value.place


def test_bytes_that_are_no_text_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(InputError, match="unreadable"):
        read_pairs(path)


def test_a_name_that_is_not_bundled_says_the_nearest() -> None:
    with pytest.raises(InputError, match="did you mean 'formality'"):
        read_pairs("formalty")
    with pytest.raises(InputError, match="No such file"):
        read_pairs("missing.yaml")


@pytest.mark.parametrize("given", [["ab"], [("a",)], [("a", 3)], []])
def test_pairs_given_in_the_call_are_checked_too(given: Any) -> None:
    with pytest.raises(InputError, match="pairs 'pairs'"):
        Pairs.of(given)


@pytest.mark.parametrize(
    ("group", "count"), [("concepts", 14), ("languages", 10), ("programming", 9)]
)
def test_bundled_sets_have_twenty_prompts_a_side_and_none_twice(group: str, count: int) -> None:
    found = read_pairs(group)
    assert len(found) == count
    texts: list[str] = []
    shared: set[str] = set()
    for name, pairs in found.items():
        assert len(pairs) == 20, name
        assert pairs.positive != pairs.negative
        sides = [[str(pair[side]) for pair in pairs.prompts] for side in (0, 1)]
        assert all(text == text.strip() and len(text) < 100 for text in sides[0] + sides[1])
        texts += sides[0]
        # Languages are all set against the same English.
        if group == "concepts":
            texts += sides[1]
        else:
            assert pairs.negative == "english"
            shared.update(sides[1])
    assert len(set(texts) | shared) == len(texts) + len(shared)
    assert len(shared) in (0, 20)


def test_the_names_of_bundled_sets_are_each_used_once() -> None:
    names = [
        name for group in ("concepts", "languages", "programming") for name in read_pairs(group)
    ]
    assert len(set(names)) == 33
    assert read_pairs("python")["python"] == read_pairs("programming")["python"]


def test_the_bundled_model_reads_every_one_of_them() -> None:
    model = load_model("demo", device="cpu")
    for group in ("concepts", "languages", "programming"):
        found = contrastive(model, "blocks.1.hook_resid_post", group)
        assert found.names == tuple(read_pairs(group))
        # No single pair turns a direction round.
        assert all(0 < f["leave_one_out_mean"] <= f["leave_one_out_max"] < 90 for f in found.facts)


def test_a_set_of_a_name_that_is_there_already_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "pairs.yaml"
    file.write_text("mood: {positive: [a], negative: [b]}\nmood: {positive: [c], negative: [d]}\n")
    with pytest.raises(InputError, match="'mood' twice"):
        read_pairs(file)
