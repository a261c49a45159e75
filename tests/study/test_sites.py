"""A study at several sites with several SAEs: what its contexts share, and what is said."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
import pandas as pd
import pytest
import torch

import steppe
from steppe.core.errors import InputError
from steppe.propagation import read_residuals
from steppe.store import Template, Variable
from steppe.study import BaseSettings, Claim, Context, FunctionPart, Study, Table, positive
from steppe.study.given import Given
from steppe.study.running import open_context

HERE, THERE = "blocks.1.hook_resid_pre", "blocks.2.hook_resid_pre"


class Settings(BaseSettings):
    POOL_OF_ALL_POSITIONS: ClassVar[bool] = True

    study: Literal["sites"] = "sites"
    site: str = HERE
    saes: tuple[str, ...] = ()

    @property
    def sae_site(self) -> str | None:
        return None

    @property
    def sae_sources(self) -> tuple[str, ...]:
        return self.saes

    @property
    def has_sae(self) -> bool:
        return bool(self.saes)


def lay_out(context: Context[Settings]) -> Template | None:
    return Template(
        samples=context.settings.samples,
        shard_size=2,
        variables={"latents": Variable(("sample",), "1", "latents of all SAEs", "int64")},
    )


def measure(context: Context[Settings], samples: range) -> dict[str, Any]:
    count = sum(len(used.rates.values) for used in context.saes.values())
    return {"latents": np.full(len(samples), count)}


SAE = frozenset({"pool", "sae"})
STUDY = Study(
    name="sites",
    question="How many latents?",
    settings=Settings,
    parts=lambda _: [
        FunctionPart("latents", lay_out, measure, SAE, sae_adds="their number"),
        FunctionPart("nothing", lambda _: None, measure),
    ],
    tables=[
        Table("rows", lambda run: f"of {run.model}", lambda _: pd.DataFrame({"a": [1]})),
        Table("none", "", lambda _: pd.DataFrame({"a": []})),
        Table("points", "", lambda _: pd.DataFrame({"a": [1, 2]}), is_data=True),
    ],
    facts=lambda run: {"kept at": run.constants["kept"]},
    claims=lambda _: [
        Claim(
            "A1", "It is.", "one", lambda _: positive(np.mean, np.ones(5)), also=lambda _: {"b": 2}
        )
    ],
    claims_caption="Nothing more.",
    prepare=lambda context: {"kept": context.at(THERE).site.name},
)


@pytest.fixture
def asked(tiny_files: Any, tmp_path: Path) -> dict[str, Any]:
    shutil.copytree(tiny_files.sae, tmp_path / "saes" / "here")
    shutil.copytree(tiny_files.sae, tmp_path / "saes" / "there")
    cfg = tmp_path / "saes" / "there" / "cfg.json"
    told = json.loads(cfg.read_text())
    told["metadata"]["hook_name"] = THERE
    cfg.write_text(json.dumps(told))
    return {
        "model": str(tiny_files.model),
        "prompts": str(tiny_files.prompts),
        "saes": (str(tmp_path / "saes"),),
        "samples": 4,
        "moments_samples": 100,
        "device": "cpu",
        "accept_sae": True,
    }


def test_sites_share_prompts_and_each_sae_is_used_at_its_own(asked: dict[str, Any]) -> None:
    context = open_context(STUDY, Settings(**asked))
    there = context.at(THERE)
    assert there is context.at(THERE)
    assert there.at(HERE) is context
    assert there.prompts is context.prompts
    np.testing.assert_array_equal(there.order, context.order)
    assert {label: used.site.name for label, used in context.saes.items()} == {
        "here": HERE,
        "there": THERE,
    }
    assert there.saes is context.saes
    assert set(context.sae_fit) == {"here", "there"}
    with pytest.raises(InputError, match="of 2"):
        _ = context.sae


def test_a_pool_of_all_positions_leaves_the_first_out(asked: dict[str, Any]) -> None:
    context = open_context(STUDY, Settings(**asked))
    length = context.prompts.tokens.shape[1]
    assert len(context.pool_rows) == -(-100 // (length - 1))
    site = steppe.Site.parse(HERE, "all")
    read = read_residuals(context.model, context.prompts.tokens[context.pool_rows], site)
    torch.testing.assert_close(context.pool, read[:, 1:].flatten(0, 1))


def test_what_is_made_of_a_context_is_made_once(asked: dict[str, Any]) -> None:
    context = open_context(STUDY, Settings(**asked))
    made: list[int] = []

    def make(_: Any) -> int:
        made.append(1)
        return 7

    assert (context.once(make), context.once(make), context.at(THERE).once(make)) == (7, 7, 7)
    assert len(made) == 2


def test_with_and_without_saes(asked: dict[str, Any], tmp_path: Path) -> None:
    options = {key: asked[key] for key in ("prompts", "saes", "samples", "moments_samples")}
    options |= {"device": "cpu", "accept_sae": True}
    done = steppe.run(STUDY, model=asked["model"], out=tmp_path / "with", **options)
    assert list(done.datasets()) == ["latents"]
    assert done.dataset("latents")["latents"].values.tolist() == [256] * 4
    summary = (done.path / "summary.md").read_text()
    assert f"kept at: {THERE}" in summary.replace("**", "")
    assert not (done.path / "tables" / "none.csv").exists()
    assert (done.path / "figures" / "points.csv").read_text() == "a\n1\n2\n"
    assert "of model" in (done.path / "tables" / "rows.md").read_text()
    assert done.claims["b"].tolist() == [2]
    del options["saes"]
    without = steppe.run(STUDY, model=asked["model"], out=tmp_path / "without", **options)
    assert without.dataset("latents")["latents"].values.tolist() == [0] * 4
    assert "latents (their number)" in (without.path / "summary.md").read_text()


def test_too_few_prompts_or_activations_are_refused(asked: dict[str, Any]) -> None:
    with pytest.raises(InputError, match="at least one per sample: 5000"):
        open_context(STUDY, Settings(**{**asked, "samples": 5000}))
    few = Given(prompts=[[1, 2, 3], [4, 5, 6]])
    context = open_context(STUDY, Settings(**{**asked, "samples": 2}), few)
    with pytest.raises(InputError, match="4 activations"):
        _ = context.moments


class OneSite(BaseSettings):
    study: Literal["sites"] = "sites"
    site: str = HERE


def test_an_sae_of_the_studys_site_is_judged_there_wherever_one_looks(
    asked: dict[str, Any], tmp_path: Path
) -> None:
    sae = tmp_path / "saes" / "here"
    (sae / "sparsity.safetensors").unlink()
    options = {key: value for key, value in asked.items() if key != "saes"} | {"sae": str(sae)}
    context = open_context(replace(STUDY, settings=OneSite), OneSite(**options))
    there = context.at(THERE)
    assert (there.site.name, there.used_sae.site.name) == (THERE, HERE)
    torch.testing.assert_close(there.rates.values, context.rates.values, rtol=0, atol=0)
    assert there.sae_fit == context.sae_fit


def test_a_suffix_at_another_site_is_checked(
    asked: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    context = open_context(STUDY, Settings(**asked))
    seen: list[str] = []
    monkeypatch.setattr(
        "steppe.study.context.require_self_check", lambda _, site, __: seen.append(site.name)
    )
    for _ in range(2):
        context.at(THERE).suffix(read=[context.read], logits=False)
    assert seen == [THERE]


def test_other_settings_share_no_places_and_keep_the_directions(asked: dict[str, Any]) -> None:
    context = open_context(STUDY, Settings(**asked))
    context.kept_directions = steppe.directions.random(context.model, 1)
    few = replace(context, settings=Settings(**{**asked, "moments_samples": 101}))
    assert few.kept_directions is context.kept_directions
    assert few.at(THERE).settings.moments_samples == 101
    assert context.at(THERE).settings.moments_samples == 100
    assert few.at(THERE).at(HERE) is few
    assert few.at(THERE).kept_directions is None, "those of another site are others"


@pytest.mark.parametrize("first", [0, 5])
def test_pairs_begin_with_bos_where_all_prompts_do(asked: dict[str, Any], first: int) -> None:
    rows = [[0, 1, 2, 3]] * 3 + [[first, 4, 5, 6]]
    context = open_context(STUDY, Settings(**asked), Given(prompts=rows))
    assert context.model.bos_token_id == 0
    assert context._sources.bos is (first == 0)


def test_moments_may_leave_outliers_out(
    asked: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    context = open_context(STUDY, Settings(**asked, ordinary_moments=True))
    pool = context.pool.clone()
    pool[3] *= 100
    monkeypatch.setitem(context.__dict__, "pool", pool)
    kept = torch.cat([pool[:3], pool[4:]]).numpy()
    np.testing.assert_allclose(context.moments.covariance, np.cov(kept.T), rtol=1e-5, atol=1e-8)
    monkeypatch.setitem(context.__dict__, "settings", Settings(**asked))
    for name in ("moments", "moments_pool"):
        context.__dict__.pop(name, None)
    np.testing.assert_allclose(context.moments.covariance, np.cov(pool.numpy().T), rtol=1e-5)
