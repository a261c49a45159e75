"""Every study runs in its SAE's coordinates, says how the SAE does, and refuses a bad one."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from tests.sae.test_autoencoder import Theirs

from steppe.cli.main import main
from steppe.core.errors import InputError
from steppe.models import load_model
from steppe.propagation import read_residuals
from steppe.sae import load_sae
from steppe.settings.configuration import settings_of
from steppe.store import open_run
from steppe.studies.giglemiani2024.study import STUDY
from steppe.studies.lee2024.study import STUDY as LEE
from steppe.study import Context
from steppe.study.given import Given
from steppe.study.running import open_context
from steppe.study.saes import UsedSae


def prepare(settings: Any) -> Context[Any]:
    return open_context(STUDY, settings)


# One study of one SAE, and one of several: how SAEs are opened is the framework's.
PREPARE: dict[str, Callable[[Any], Any]] = {
    "giglemiani2024": prepare,
    "lee2024": partial(open_context, LEE),
}


def changed(tiny_files: Any, folder: Path, bias: float = 0.0, **metadata: Any) -> Path:
    """The tiny SAE with something else in its file, or its encoder's biases moved."""
    shutil.copytree(tiny_files.sae, folder)
    cfg = json.loads((folder / "cfg.json").read_text())
    cfg["metadata"] |= metadata
    (folder / "cfg.json").write_text(json.dumps(cfg))
    weights = load_file(folder / "sae_weights.safetensors")
    weights["b_enc"] += bias
    save_file(weights, folder / "sae_weights.safetensors")
    return folder


def asked(tiny_files: Any, study: str, sae: Path, **more: Any) -> Any:
    request = {
        "study": study, "model": str(tiny_files.model), "sae": str(sae),
        "prompts": str(tiny_files.prompts), "samples": 4, "moments_samples": 300,
        "site": "blocks.1.hook_resid_pre", "prompt_length": 10, "device": "cpu",
    }  # fmt: skip
    return settings_of({**request, **more}, "test")


@pytest.mark.parametrize("study", PREPARE)
def test_how_the_sae_does_is_known(tiny_files: Any, study: str) -> None:
    material = PREPARE[study](asked(tiny_files, study, tiny_files.sae))
    (fit,) = material.sae_fit.values()
    assert 0.5 < fit["explained_variance"] < 1
    assert fit["mean_l0"] > 1


@pytest.mark.parametrize("study", PREPARE)
@pytest.mark.parametrize(
    ("change", "got"),
    [
        ({"bias": -1e4}, "no latent active on any activation"),
        ({"bias": 3.0}, r"explained variance -\d"),
        ({"model_name": "pythia-70m"}, "an SAE of the model 'pythia-70m'"),
    ],
)
def test_an_sae_that_cannot_be_right_is_refused(
    tiny_files: Any, tmp_path: Path, study: str, change: dict[str, Any], got: str
) -> None:
    sae = changed(tiny_files, tmp_path / "sae", **change)
    with pytest.raises(InputError, match=got):
        PREPARE[study](asked(tiny_files, study, sae))
    if study == "giglemiani2024" and "model_name" in change:
        assert PREPARE[study](asked(tiny_files, study, sae, accept_sae=True)).sae_fit


@pytest.mark.parametrize(
    ("change", "got"),
    [
        ({"bias": -1e4}, r"no latent active on any activation"),
        ({"bias": 3.0}, r"explained variance -\d"),
    ],
)
def test_an_object_that_cannot_be_right_is_refused(
    tiny_files: Any, tmp_path: Path, change: dict[str, Any], got: str
) -> None:
    sae = load_sae(changed(tiny_files, tmp_path / "sae", **change))
    thing = SimpleNamespace(encode=sae.encode, decode=sae.decode, W_dec=sae.W_dec)
    thing.d_sae, thing.d_in = sae.W_dec.shape
    settings = asked(tiny_files, "janiak2024", tmp_path / "sae")
    used = partial(UsedSae, thing, settings.site_in(4), lambda: pool)
    model = load_model(tiny_files.model, device="cpu")
    pool = read_residuals(model, np.arange(60).reshape(6, 10), "blocks.1.hook_resid_pre")
    with pytest.raises(InputError, match=got):
        _ = used(model, settings).quality
    accepted = settings.model_copy(update={"accept_sae": True})
    assert used(model, accepted).quality.explained_variance < 0.5


def test_another_hook_is_refused_unless_accepted(tiny_files: Any, tmp_path: Path) -> None:
    sae = changed(tiny_files, tmp_path / "sae", hook_name="blocks.2.hook_resid_pre")
    with pytest.raises(InputError, match=r"an SAE of blocks\.2\.hook_resid_pre"):
        prepare(asked(tiny_files, "giglemiani2024", sae))
    accepted = prepare(asked(tiny_files, "giglemiani2024", sae, accept_sae=True))
    assert accepted.site.name == "blocks.1.hook_resid_pre"
    # After one block is before the next.
    same = changed(tiny_files, tmp_path / "same", hook_name="blocks.0.hook_resid_post")
    prepare(asked(tiny_files, "giglemiani2024", same))


@pytest.mark.parametrize("study", PREPARE)
def test_an_sae_of_raw_residuals_gets_raw_ones(tiny_files: Any, tmp_path: Path, study: str) -> None:
    kwargs = {"center_writing_weights": False}
    sae = changed(tiny_files, tmp_path / "sae", model_from_pretrained_kwargs=kwargs)
    material = PREPARE[study](asked(tiny_files, study, sae))
    assert material.model.coordinates == "raw"
    assert material.resolved()["coordinates"] == "raw"
    pool = material.pool
    assert float(pool.mean(dim=1).abs().max()) > 1e-3
    with pytest.raises(InputError, match="an SAE of raw residuals, for a model in centered"):
        PREPARE[study](asked(tiny_files, study, sae, coordinates="centered"))


def test_raw_and_centred_paths_start_from_the_same_model(tiny_files: Any, tmp_path: Path) -> None:
    kwargs = {"center_writing_weights": False}
    sae = changed(tiny_files, tmp_path / "sae", model_from_pretrained_kwargs=kwargs)
    context = prepare(asked(tiny_files, "giglemiani2024", sae))
    raw = load_model(tiny_files.model, coordinates="raw", device="cpu")
    expected = read_residuals(raw, context.prompts.tokens[context.pool_rows], context.site)
    torch.testing.assert_close(context.pool, expected)


def test_saes_of_both_coordinates_are_not_mixed(tiny_files: Any, tmp_path: Path) -> None:
    raw = changed(
        tiny_files, tmp_path / "a", model_from_pretrained_kwargs={"center_writing_weights": False}
    )
    centered = changed(tiny_files, tmp_path / "b", coordinates="centered")
    with pytest.raises(InputError, match="a: raw residuals; b: centered residuals"):
        PREPARE["lee2024"](asked(tiny_files, "lee2024", raw, saes=[str(raw), str(centered)]))


def test_the_summary_and_the_folder_say_it(tiny_files: Any, tmp_path: Path) -> None:
    out = tmp_path / "run"
    words = [
        "reproduce", "giglemiani2024", "--model", tiny_files.model, "--sae", tiny_files.sae,
        "--prompts", tiny_files.prompts, "--samples", 4, "--only",
        "figure_2", "--moments-samples", 300, "--bootstrap", 100, "--out", out,
    ]  # fmt: skip
    with pytest.raises(SystemExit, match="0"):
        main([str(word) for word in words])
    summary = (out / "summary.md").read_text()
    assert "explained variance 0." in summary
    assert "L0 " in summary
    provenance = open_run(out).provenance[-1]
    (fit,) = provenance["sae_fit"].values()
    assert 0.5 < fit["explained_variance"] < 1
    found = provenance["activations"]
    assert found["count"] == 300
    assert 1 < found["carriers"] <= 300
    assert f"300 activations, norm {found['median_norm']:.3g} (median)" in summary
    assert f"as if {found['carriers']:.0f} equal activations" in summary


def test_an_sae_whose_settings_or_rates_were_changed_is_another(
    tiny_files: Any, tmp_path: Path
) -> None:
    def told(unused: Any = None) -> str:
        return str(UsedSae(load_sae(sae), unused, unused, unused, unused).identity)

    sae = changed(tiny_files, tmp_path / "sae")
    own = told()
    cfg, rates = sae / "cfg.json", sae / "sparsity.safetensors"
    stated = json.loads(cfg.read_text())
    cfg.write_text(json.dumps(stated | {"apply_b_dec_to_input": False}))
    others = [told()]
    cfg.write_text(json.dumps(stated))
    save_file({name: rate - 1 for name, rate in load_file(rates).items()}, rates)
    others.append(told())
    assert len({own, *others}) == 3


def test_an_object_with_a_linear_decoder_is_enough(tiny_files: Any) -> None:
    sae = Theirs(load_file(tiny_files.sae / "sae_weights.safetensors"))
    settings = asked(tiny_files, "giglemiani2024", tiny_files.sae)
    mine = open_context(STUDY, settings.model_copy(update={"sae": None}), Given(sae=sae))
    (found,) = mine.sae_fit.values()
    (expected,) = prepare(settings).sae_fit.values()
    assert found["explained_variance"] == pytest.approx(expected["explained_variance"], rel=1e-5)
    assert mine.resolved()["sae"] == "an object of Theirs"
