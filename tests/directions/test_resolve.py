"""Names of fixed directions, in expansions, registries, requests and studies."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from tests.directions.conftest import SITE, WIDTH

from steppe.activations import KINDS
from steppe.core.errors import InputError
from steppe.core.fixed_directions import fixed_direction
from steppe.core.sites import Site
from steppe.directions import (
    DirectionSet,
    expand,
    from_file,
    jacobian_top,
    melbo,
    pca,
    random,
    register,
)  # fmt: skip
from steppe.directions.resolve import Sources, identities, make_needed, vector_of
from steppe.models import Model
from steppe.paths import DIRECTIONS, DirectionRequest, make_directions

PAIRS = """
sevens: {positive: [[1, 7], [2, 3, 7]], negative: [[1, 9], [2, 3, 9]]}
fives: {positive: [[1, 5]], negative: [[1, 6]]}
"""


@pytest.fixture
def own(tmp_path: Path) -> Path:
    path = tmp_path / "own.yaml"
    path.write_text(PAIRS)
    return path


@pytest.fixture
def sources(model: Model, tokens: torch.Tensor) -> Sources:
    pool = torch.randn(60, WIDTH, generator=torch.Generator().manual_seed(5))
    pool -= pool.mean(1, keepdim=True)
    sae = SimpleNamespace(W_dec=torch.eye(WIDTH)[:4], encode=lambda x: torch.relu(x[:, :4]))
    return Sources(
        model=model,
        site=Site.parse(SITE).resolve(3),
        read=Site.parse("blocks.2.hook_resid_post"),
        seed=3,
        bos=False,
        tokens=lambda count: tokens[:count],
        pool=lambda: pool,
        sae=lambda: sae,  # type: ignore[arg-type,return-value]
    )


def made(sources: Sources, *names: str) -> DirectionSet:
    return make_needed([need for name in names for need in DIRECTIONS.find(name).needs], sources)


def test_sets_are_written_out(own: Path, tmp_path: Path) -> None:
    file = tmp_path / "two.npz"
    np.savez(file, a=np.ones(3), b=np.ones(3))
    assert expand(["real_mixture", "pca:1-3", "pca:2"]) == (
        "real_mixture", "pca:1", "pca:2", "pca:3",
    )  # fmt: skip
    assert expand([f"contrastive:{own}"]) == (
        f"contrastive:{own}#sevens",
        f"contrastive:{own}#fives",
    )
    assert expand([f"file:{file}_against"]) == (f"file:{file}#a_against", f"file:{file}#b_against")
    assert len(expand(["contrastive:concepts", "contrastive:languages"])) == 24
    assert expand(["contrastive:formality"]) == ("contrastive:formality",)
    assert expand(["melbo:1-2:angle=20"]) == ("melbo:1:angle=20", "melbo:2:angle=20")


@pytest.mark.parametrize(
    ("name", "match"),
    [
        ("contrastive:formalty", "did you mean 'formality'"),
        ("contrastive:concepts#wealt", "did you mean 'wealth'"),
        ("file:nowhere.npz", "no such file"),
        ("given:nobody", "nobody|no direction given"),
        ("pca:1-3", "3 directions"),
        ("contrastive:concepts", "14 directions"),
    ],
)
def test_a_name_without_one_direction_is_refused_before_anything_is_made(
    name: str, match: str, sources: Sources
) -> None:
    with pytest.raises(InputError, match=match):
        identities(DIRECTIONS.find(name).needs, sources)


def test_every_kind_is_what_its_function_makes(
    sources: Sources, own: Path, model: Model, tokens: torch.Tensor, tmp_path: Path
) -> None:
    file = DirectionSet.of(["up", "down"], np.arange(2 * WIDTH).reshape(2, -1) % 7, "x").save(
        tmp_path / "steer.safetensors"
    )
    names = [
        "pca:2", "random:3", "random_difference", "sae_top:2", "jacobian_top:2:anchors=2",
        "melbo:steps=3:anchors=1", f"contrastive:{own}#sevens", f"file:{file}#down",
    ]  # fmt: skip
    found = made(sources, *names)
    assert set(found.names) == set(names)
    expected = {
        "pca:2": pca(sources.pool(), 2).vectors[1],
        "random:3": random(model, 3, seed=3).vectors[2],
        "jacobian_top:2:anchors=2": jacobian_top(model, tokens[:2], SITE, 2, seed=3).vectors[1],
        f"file:{file}#down": from_file(file, model).select("down").vectors[0],
    }
    for name, vector in expected.items():
        torch.testing.assert_close(vector_of(name, found), vector)
        torch.testing.assert_close(vector_of(f"{name}_against", found), -vector)
    assert found.select(f"contrastive:{own}#sevens").facts[0]["pairs"] == 2


def test_directions_given_in_the_call(sources: Sources) -> None:
    vector = torch.arange(float(WIDTH))
    register("steer", vector)
    register("both", torch.stack([vector, vector.flip(0)]))
    found = made(sources, "given:steer", "given:both#1")
    centred = torch.nn.functional.normalize(vector - vector.mean(), dim=0)
    torch.testing.assert_close(vector_of("given:steer", found), centred)
    torch.testing.assert_close(vector_of("given:both#1_against", found), centred)
    with pytest.raises(InputError, match="'a b'"):
        register("a b", vector)
    with pytest.raises(InputError, match="zero vector"):
        register("zero", torch.zeros(3))


def test_they_are_kinds_of_directions_and_of_targets(sources: Sources) -> None:
    found = made(sources, "pca:2")
    base = sources.pool()[:4]
    request = DirectionRequest(
        base=base[:, None].expand(-1, 3, -1),
        generators=lambda _: [],
        fixed=lambda name: vector_of(name, found),
    )
    ways = make_directions("pca:2_against", request)
    assert ways.shape == (4, 3, WIDTH)
    torch.testing.assert_close(ways, -found.vectors[0].expand(4, 3, -1))
    with pytest.raises(InputError, match="pca:2"):
        make_directions("pca:2", DirectionRequest(base=base, generators=lambda _: []))
    assert "pca:2" in KINDS
    assert "fixed:pca:2" in KINDS.find("pca:2_against").needs
    assert "pca:2" not in list(DIRECTIONS)
    with pytest.raises(InputError, match="built-in"):
        DIRECTIONS.add(SimpleNamespace(name="melbo"))  # type: ignore[arg-type]


def test_what_tells_them_from_others(sources: Sources, own: Path, tmp_path: Path) -> None:
    def known(name: str) -> Any:
        asked = fixed_direction(name)
        assert asked is not None
        return identities(asked.needs, sources)["directions_identity"][asked.text]

    assert (
        known(f"contrastive:{own}#fives")["sha256"] != known(f"contrastive:{own}#sevens")["sha256"]
    )
    assert known("melbo:2")["angle"] == 10
    file = tmp_path / "steer.npy"
    np.save(file, np.arange(WIDTH) % 5)
    before = known(f"file:{file}")["sha256"]
    np.save(file, 3 * (np.arange(WIDTH) % 5))
    assert known(f"file:{file}")["sha256"] == before  # the same direction
    np.save(file, np.arange(WIDTH) % 3)
    assert known(f"file:{file}")["sha256"] != before


def test_several_of_one_kind_are_made_together(
    sources: Sources, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[int] = []

    def counted(*args: Any, **kwargs: Any) -> DirectionSet:
        calls.append(args[3])
        return melbo(*args, **kwargs)

    monkeypatch.setattr("steppe.directions.resolve.melbo", counted)
    made(sources, "melbo:1:steps=1", "melbo:3:steps=1", "melbo:2:steps=1_against")
    assert calls == [3]


def test_a_name_that_asks_for_the_opposite_is_refused_in_a_file(tmp_path: Path) -> None:
    file = tmp_path / "both.npz"
    np.savez(file, calm=np.arange(16), calm_against=np.arange(16) % 3)
    # Each of them would be read as minus the first one.
    for name in (f"file:{file}", f"file:{file}#calm_against"):
        with pytest.raises(InputError, match="calm_against"):
            expand([name])
