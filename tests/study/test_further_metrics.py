"""Further metrics of a study by name: from YAML, on the command line, whatever is singled out."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from safetensors.torch import load_file, save_file

import steppe
from steppe.cli.main import main
from steppe.core.errors import InputError

SITE = "blocks.0.hook_resid_post"
SMALL: dict[str, Any] = {"samples": 3, "moments_samples": 100, "bootstrap": 100, "device": "cpu"}
TOKENS = "probability:#3|#5"


def test_from_yaml_and_the_command_line(tiny_files: Any, tmp_path: Path, no_report: None) -> None:
    asked = {
        "study": "janiak2024", "model": str(tiny_files.model), "prompts": str(tiny_files.prompts),
        "only": ["interpolations"], "n_points": 4, "site": SITE, **SMALL,
    }  # fmt: skip
    names = [TOKENS, f"latents_changed:{tiny_files.sae}", "l2@blocks.1.hook_resid_post"]
    file = tmp_path / "study.yaml"
    file.write_text(yaml.safe_dump(asked | {"metrics": names, "accept_sae": True}))
    with pytest.raises(SystemExit) as ended:
        main(["run", str(file), "--out", str(tmp_path / "yaml")])
    assert not ended.value.code
    file.write_text(yaml.safe_dump(asked))
    with pytest.raises(SystemExit) as ended:
        main(["run", str(file), "--metrics", ",".join(names), "--accept-sae",
              "--out", str(tmp_path / "line")])  # fmt: skip
    assert not ended.value.code
    both = [steppe.open_run(tmp_path / one).dataset("interpolations") for one in ("yaml", "line")]
    for name in (TOKENS, "latents_changed:sae", "l2@blocks.1.hook_resid_post"):
        np.testing.assert_array_equal(both[0][name], both[1][name])
    # The same by hand, for the first kind of target.
    model = steppe.load_model(tiny_files.model, device="cpu")
    found = both[0].isel(kind=0).sel(mode="linear").load()
    tokens = found["tokens"].values
    own = steppe.read_residuals(model, tokens, SITE)
    metrics = [TOKENS, steppe.metrics.latents_changed(steppe.load_sae(tiny_files.sae))]
    start = steppe.measure(model, tokens, SITE, own[:, None], metrics)
    np.testing.assert_allclose(found[TOKENS][:, :1], start[TOKENS], rtol=1e-4)
    assert float(found["latents_changed:sae"][:, 1:].min()) > 0


def test_they_are_measured_whatever_is_singled_out(
    tiny_files: Any, tmp_path: Path, no_report: None
) -> None:
    run = steppe.run(
        "giglemiani2024", model=tiny_files.model, prompts=tiny_files.prompts, sae=None, **SMALL,
        only=["table_a1"], kinds=["real", "random"], metrics=["entropy", TOKENS], next_tokens=0,
        points="adaptive", out=tmp_path / "run",
    )  # fmt: skip
    curves = run.dataset("curves").load()
    assert {"entropy", TOKENS} <= {*curves.data_vars}
    assert np.isfinite(curves["entropy"]).all()


def test_an_sae_that_does_badly_on_the_runs_prompts_is_refused(
    tiny_files: Any, tmp_path: Path
) -> None:
    bad = tmp_path / "bad"
    shutil.copytree(tiny_files.sae, bad)
    tensors = load_file(bad / "sae_weights.safetensors")
    save_file({**tensors, "W_dec": -tensors["W_dec"]}, bad / "sae_weights.safetensors")
    asked = dict(
        model=tiny_files.model, prompts=tiny_files.prompts, **SMALL, only=["interpolations"],
        metrics=[f"latents_l1:{bad}"], out=tmp_path / "run",
    )  # fmt: skip
    with pytest.raises(InputError, match="explained variance"):
        steppe.run("janiak2024", **asked)


def test_another_sae_under_the_same_name_is_another_run(
    tiny_files: Any, tmp_path: Path, no_report: None
) -> None:
    sae = tmp_path / "sae"
    shutil.copytree(tiny_files.sae, sae)
    asked = dict(
        model=tiny_files.model, prompts=tiny_files.prompts, **SMALL, only=["interpolations"],
        metrics=[f"latents_l1:{sae}"], accept_sae=True, out=tmp_path / "run",
    )  # fmt: skip
    steppe.run("janiak2024", **asked)
    tensors = load_file(sae / "sae_weights.safetensors")
    save_file({**tensors, "b_enc": tensors["b_enc"] - 0.1}, sae / "sae_weights.safetensors")
    with pytest.raises(InputError, match="parts"):
        steppe.run("janiak2024", **asked | {"samples": 4})


def test_a_metric_that_is_none_is_told_before_weights_are_read(tmp_path: Path) -> None:
    file = tmp_path / "study.yaml"
    file.write_text(json.dumps({"study": "janiak2024", "metrics": ["rank: a| b", "entropie"]}))
    with pytest.raises(InputError, match="did you mean 'entropy'"):
        steppe.run("janiak2024", model=tmp_path / "none", metrics=["entropie"], out=tmp_path / "r")
