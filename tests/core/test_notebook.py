"""Objects in a notebook: their facts are there, and nothing in them takes effect."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from tests.conftest import tiny_model, write_sae

from steppe.core.notebook import facts_html
from steppe.core.sites import Site
from steppe.models import load_model
from steppe.sae import load_sae

HOSTILE = "<img src=x onerror=alert(1)>\u202e"


def test_facts_are_escaped_and_unknown_ones_left_out() -> None:
    made = facts_html(HOSTILE, {"a": 1, "b": None, HOSTILE: HOSTILE})
    assert made.count("<li>") == 2
    assert "<img" not in made
    assert "\u202e" not in made
    assert made.startswith("<b>&lt;img src=x onerror=alert(1)&gt;\\u202e</b>")


def test_a_site_a_model_and_an_sae_show_what_they_are(tmp_path: Path) -> None:
    assert "blocks.1.hook_resid_pre" in Site.parse("resid_pre:1")._repr_html_()
    model = load_model(tiny_model(), device="cpu")
    named = replace(model, identity=replace(model.identity, name=HOSTILE))
    shown = named._repr_html_()
    assert f"<li>d_model: {model.d_model}</li>" in shown
    assert "<li>coordinates: centered</li>" in shown
    assert "<img" not in shown
    write_sae(tmp_path / "sae")
    sae = load_sae(tmp_path / "sae")
    assert f"<li>latents: {len(sae.W_dec)}</li>" in sae._repr_html_()
    assert "<li>hook: blocks.1.hook_resid_pre</li>" in sae._repr_html_()
