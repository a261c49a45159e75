from __future__ import annotations

import pytest

from steppe.core.errors import InputError
from steppe.core.sites import LN_FINAL, Site, as_site, require_stream


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
    [("resid_pre:0", 0), ("resid_pre:3", 3), ("mlp_out:3", 3), ("resid_post:3", 4), (LN_FINAL, 8)],
)
def test_blocks_before_a_site(text: str, blocks: int) -> None:
    assert Site.parse(text).blocks_before(8) == blocks


@pytest.mark.parametrize(
    ("short", "long"),
    [
        ("attn_out:3", "blocks.3.hook_attn_out"),
        ("mlp_out:3", "blocks.3.hook_mlp_out"),
        ("resid_mid:last", "blocks.last.hook_resid_mid"),
        ("mlp_post:3", "blocks.3.mlp.hook_post"),
    ],
)
def test_sites_inside_of_a_block_have_transformer_lens_names(short: str, long: str) -> None:
    site = Site.parse(long)
    assert site == Site.parse(short)
    assert site.name == long
    assert site.is_inside
    assert site.is_stream == ("resid_mid" in long)


def test_sites_are_ordered_as_a_model_computes_them() -> None:
    names = ["resid_pre:2", "attn_out:2", "resid_mid:2", "mlp_post:2", "mlp_out:2", "resid_post:2"]
    places = [Site.parse(name).place(8) for name in names]
    assert places == sorted(set(places))
    assert places[-1] == Site.parse("resid_pre:3").place(8)
    assert Site.parse("resid_post:last").place(8) == Site.parse(LN_FINAL).place(8)


@pytest.mark.parametrize("name", ["attn_out:1", "mlp_out:1", "mlp_post:1", LN_FINAL])
def test_what_is_not_the_whole_stream_can_only_be_read(name: str) -> None:
    with pytest.raises(InputError, match=Site.parse(name).name):
        require_stream(Site.parse(name))
    require_stream(Site.parse("resid_mid:1"))


@pytest.mark.parametrize(
    "text", ["", "blocks.1.hook_mlp_post", "blocks.1.attn.hook_z", "blocks.-1.hook_resid_pre", "1"]
)
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
