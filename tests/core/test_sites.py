from __future__ import annotations

import pytest

from steppe.core.errors import InputError
from steppe.core.sites import LN_FINAL, Site, as_site


@pytest.mark.parametrize("text", ["blocks.1.hook_resid_pre", "resid_pre:1"])
def test_both_spellings_name_the_same_site(text: str) -> None:
    site = Site.parse(text)
    assert site == Site(1, "resid_pre")
    assert site.name == "blocks.1.hook_resid_pre"


def test_the_last_layer_is_resolved_by_the_model() -> None:
    site = Site.parse("blocks.last.hook_resid_post")
    assert site.name == "blocks.last.hook_resid_post"
    assert site.resolve(12).name == "blocks.11.hook_resid_post"


@pytest.mark.parametrize(
    ("text", "blocks"),
    [("resid_pre:0", 0), ("resid_pre:3", 3), ("resid_post:3", 4), (LN_FINAL, 8)],
)
def test_blocks_before_a_site(text: str, blocks: int) -> None:
    assert Site.parse(text).blocks_before(8) == blocks


@pytest.mark.parametrize("text", ["", "blocks.1.hook_resid_mid", "blocks.-1.hook_resid_pre", "1"])
def test_anything_else_is_refused_with_the_spellings(text: str) -> None:
    with pytest.raises(InputError, match=r"expected: blocks\.<layer>\.hook_resid_pre"):
        Site.parse(text)


def test_a_layer_out_of_range_is_refused_with_the_range() -> None:
    with pytest.raises(InputError, match=r"layer 12\n.*0 to 11 \(the model has 12 blocks\)"):
        Site.parse("resid_pre:12").resolve(12)


def test_a_site_may_be_given_as_text() -> None:
    assert as_site("resid_pre:1") == Site(1, "resid_pre")
    assert as_site(Site(1, "resid_pre", "all")).position == "all"
    with pytest.raises(InputError, match="list"):
        as_site(["resid_pre:1"])  # type: ignore[arg-type]
