"""A prompt's prefix is made once, for all parts, paths and metrics that start from it."""

from __future__ import annotations

from typing import Any

import pytest

from steppe.propagation import Prefix
from steppe.settings.catalogue import find_study
from steppe.studies.janiak2024.study import STUDY
from steppe.study import bases as module
from steppe.study.running import open_context


@pytest.fixture
def context(tiny_files: Any) -> Any:
    files = {"model": str(tiny_files.model), "prompts": str(tiny_files.prompts), "device": "cpu"}
    return open_context(STUDY, find_study("janiak2024").settings_class()(**files, samples=6))


def test_parts_share_the_prefixes_of_their_samples(
    context: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    built: list[Any] = []
    build = module.build_prefix

    def counting(model: Any, tokens: Any, site: Any) -> Prefix:
        built.append(tokens)
        return build(model, tokens, site)

    monkeypatch.setattr(module, "build_prefix", counting)
    parts = {part.name: part for part in STUDY.plan(context.settings).parts}
    first = parts["interpolations"].measure(context, range(6))
    assert len(built) == 6
    again = parts["interpolations"].measure(context, range(6))
    assert len(built) == 6
    assert all((first[name] == again[name]).all() for name in first)
    context.bases(range(0, 3))
    assert len(built) == 9


def test_no_more_is_kept_than_memory_is_meant_for(
    context: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    size = sum(batch.nbytes for batch in context.bases(range(0, 2)).batches)
    assert size > 0
    kept = module.KeptBases()
    monkeypatch.setattr(module, "_KEPT_BYTES", size + 1)
    make = lambda: context.bases(range(0, 2))  # noqa: E731
    assert kept.get(range(0, 2), make) is kept.get(range(0, 2), lambda: pytest.fail("made again"))
    other = module.Bases.of(
        range(2, 4), context.order[2:4], context.prompts.tokens[context.order[2:4]],
        context.model, context.site,
    )  # fmt: skip
    assert kept.get(range(2, 4), lambda: other) is other
    with pytest.raises(KeyError, match="made again"):
        kept.get(range(2, 4), lambda: {}["made again"])
