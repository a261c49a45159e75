"""Pairs of prompts that differ in one thing: from YAML, JSONL or the bundled sets."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any

import yaml

from steppe.core.errors import InputError
from steppe.core.names import check_names
from steppe.core.yaml_text import read_yaml

# A prompt: a text, or its token ids for a model without a tokenizer.
Prompt = str | tuple[int, ...]
BUNDLED = ("concepts", "languages", "programming")
_SIDES = ("positive", "negative")
_LABELS = ("towards", "away_from")
_LARGEST = 64 * 2**20


@dataclass(frozen=True)
class Pairs:
    """Pairs of prompts, of which the first are to one side and the second to the other.

    Attributes:
        name: What they are called.
        positive: Prompts that the direction leads to, in words: ``formal``.
        negative: What it leads away from: ``casual``.
        prompts: Pairs of a positive and a negative prompt: texts, or token ids.
    """

    name: str
    positive: str
    negative: str
    prompts: tuple[tuple[Prompt, Prompt], ...]

    @classmethod
    def of(cls, prompts: Sequence[tuple[Any, Any]], name: str = "pairs") -> Pairs:
        """Pairs given in the call.

        Args:
            prompts: A positive and a negative prompt each, as texts or token ids.
            name: What they are called.

        Raises:
            InputError: There are none, or something is no pair of prompts.
        """
        checked = []
        for number, pair in enumerate(prompts):
            if isinstance(pair, str) or len(pair) != 2:
                raise _malformed(f"pairs {name!r}, pair {number}", pair)
            first, second = (_prompt(one, f"pairs {name!r}, pair {number}") for one in pair)
            checked.append((first, second))
        return _checked(cls(name, "positive", "negative", tuple(checked)), f"pairs {name!r}")

    def __len__(self) -> int:
        return len(self.prompts)

    @property
    def sha256(self) -> str:
        """Hash of the prompts, in their order."""
        return hashlib.sha256(json.dumps(self.prompts).encode()).hexdigest()


def read_pairs(source: str | Path) -> dict[str, Pairs]:
    """Read sets of pairs.

    A YAML file maps names to ``{positive: [...], negative: [...]}``, lists of equal length, with
    ``towards`` and ``away_from`` in words if wanted. A JSONL file has one pair a line:
    ``{"positive": "...", "negative": "...", "name": "..."}``, the name if there are several sets.

    Args:
        source: A ``.yaml``, ``.yml`` or ``.jsonl`` file; ``concepts``, ``languages`` or
            ``programming``; or the name of one of the bundled pairs.

    Returns:
        The sets by name.

    Raises:
        InputError: No such file or name, or something in it that is no pair of prompts.
    """
    text = str(source)
    if text in BUNDLED:
        return _bundled(text)
    path = Path(text).expanduser()
    if path.suffix.lower() in (".yaml", ".yml", ".jsonl") or path.exists():
        return _read(path)
    known = {name: pairs for group in BUNDLED for name, pairs in _bundled(group).items()}
    check_names("bundled pairs of prompts (or a .yaml or .jsonl file)", [text], [*known, *BUNDLED])
    return {text: known[text]}


@cache
def _bundled(group: str) -> dict[str, Pairs]:
    return _read(Path(str(resources.files("steppe"))) / "directions" / "bundled" / f"{group}.yaml")


def _read(path: Path) -> dict[str, Pairs]:
    place = f"pairs of prompts {path}"
    try:
        if path.stat().st_size > _LARGEST:
            raise InputError(
                place,
                got=f"{path.stat().st_size / 2**20:.0f} MiB",
                expected=f"at most {_LARGEST // 2**20} MiB",
                fix="give short prompts, some tens of pairs",
            )
        text = path.read_text(encoding="utf-8")
        is_lines = path.suffix.lower() == ".jsonl"
        content = _gathered(text, place) if is_lines else read_yaml(text)
    except (OSError, ValueError, yaml.YAMLError, RecursionError) as error:
        first = next(iter(str(error).splitlines()), type(error).__name__)
        raise InputError(
            place,
            got=f"unreadable ({first[:200]})",
            expected="a YAML or JSONL file of pairs, in UTF-8",
            fix="see docs/directions.md for both formats",
        ) from None
    if not isinstance(content, Mapping) or not content:
        raise _malformed(place, content)
    if set(_SIDES) <= content.keys():
        content = {path.stem: content}
    return {str(name): _of_sides(str(name), sides, place) for name, sides in content.items()}


def _gathered(text: str, place: str) -> dict[str, dict[str, Any]]:
    """Lines of pairs as the sides of each set."""
    found: dict[str, dict[str, Any]] = {}
    for number, line in enumerate(text.splitlines(), start=1):
        if not line.strip():
            continue
        try:
            pair = json.loads(line)
        except ValueError as error:
            raise ValueError(f"line {number}: {error}") from None
        if not isinstance(pair, dict) or not set(_SIDES) <= pair.keys():
            raise _malformed(f"{place}, line {number}", pair)
        sides = found.setdefault(str(pair.get("name") or "pairs"), {"positive": [], "negative": []})
        for side in _SIDES:
            sides[side].append(pair[side])
    return found


def _of_sides(name: str, sides: Any, place: str) -> Pairs:
    where = f"{place}, {name!r}"
    if not isinstance(sides, Mapping) or not all(isinstance(sides.get(s), list) for s in _SIDES):
        raise _malformed(where, sides)
    check_names(where, [str(key) for key in sides], [*_SIDES, *_LABELS])
    lists = [[_prompt(one, f"{where}, {side}") for one in sides[side]] for side in _SIDES]
    if len(lists[0]) != len(lists[1]):
        raise InputError(
            where,
            got=f"{len(lists[0])} positive and {len(lists[1])} negative prompts",
            expected="as many on both sides: they are pairs",
            fix="add the prompts that are lacking",
        )
    towards, away = (str(sides.get(key, s)) for key, s in zip(_LABELS, _SIDES, strict=True))
    return _checked(Pairs(name, towards, away, tuple(zip(*lists, strict=True))), where)


def _checked(pairs: Pairs, place: str) -> Pairs:
    if not pairs.prompts:
        raise InputError(
            place, got="no pair", expected="at least one", fix="give some tens of pairs of prompts"
        )
    same = [number for number, (first, second) in enumerate(pairs.prompts) if first == second]
    if same:
        raise InputError(
            f"{place}, pair {same[0]}",
            got=f"the same prompt on both sides: {pairs.prompts[same[0]][0]!r}",
            expected="two prompts that differ",
            fix="change one of them, or leave the pair out",
        )
    return pairs


def _prompt(prompt: Any, place: str) -> Prompt:
    if isinstance(prompt, str) and prompt:
        return prompt
    ids = prompt if isinstance(prompt, Sequence) and not isinstance(prompt, str) else ()
    if ids and all(isinstance(one, int) and not isinstance(one, bool) for one in ids):
        return tuple(ids)
    raise _malformed(place, prompt)


def _malformed(place: str, got: Any) -> InputError:
    text = repr(got)
    return InputError(
        place,
        got=text if len(text) <= 80 else f"{text[:80]} ...",
        expected="pairs of prompts, each a text or token ids: name: {positive: [...], "
        'negative: [...]} in YAML, {"positive": ..., "negative": ...} a line in JSONL',
        fix="see docs/directions.md for both formats",
    )


def of_one(pairs: Pairs | str | Path | Mapping[str, Pairs]) -> list[Pairs]:
    """Sets of pairs from what is given: one, several by name, a file or a bundled name."""
    if isinstance(pairs, Pairs):
        return [pairs]
    found = pairs if isinstance(pairs, Mapping) else read_pairs(pairs)
    return list(found.values())
