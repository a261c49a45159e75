"""A converted SAE computes what it was converted from, in SAELens' layout."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from tests.sae.formats import test_others as others
from tests.sae.formats.conftest import draws  # noqa: F401
from torch import Tensor

from steppe.core.errors import InputError
from steppe.sae.converting import convert
from steppe.sae.loading import read_sae


@pytest.mark.parametrize("kind", ["openai", "llama", "goodfire"])
def test_it_computes_the_same(tmp_path: Path, draws: Any, kind: str) -> None:  # noqa: F811
    source = tmp_path / "Llama-3.1-8B-Instruct-SAE-l19.pth"
    if kind == "goodfire":
        torch.save(others.tensors(others.linear(draws)), source)
    else:
        source = getattr(others, kind)(tmp_path, draws)
    before = convert(source, tmp_path / "out")
    after = read_sae(tmp_path / "out")
    assert after.config == before.config
    x = torch.randn(20, 6, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(after.encode(x), before.encode(x), atol=0, rtol=0)


def test_rates_and_what_it_belongs_to_are_kept(folders: Any, tmp_path: Path) -> None:
    rates = {"sparsity": torch.full((24,), -2.0)}
    convert(folders.write(folders.v3(), sparsity=rates), tmp_path / "out")
    after = read_sae(tmp_path / "out")
    assert after.log10_rates is not None
    metadata = json.loads((tmp_path / "out/cfg.json").read_text())["metadata"]
    assert metadata["hook_name"] == "blocks.1.hook_resid_pre"
    assert metadata["prepend_bos"] is True


@pytest.mark.parity
@pytest.mark.filterwarnings("ignore")
def test_sae_lens_reads_it(folders: Any, tmp_path: Path, x: Tensor) -> None:
    from sae_lens import SAE

    ours = convert(folders.write(folders.v6(architecture="topk", k=5)), tmp_path / "out")
    theirs = SAE.load_from_disk(tmp_path / "out")
    with torch.no_grad():
        torch.testing.assert_close(theirs.encode(x), ours.encode(x), atol=1e-5, rtol=1e-5)


def test_what_cannot_be_written(folders: Any, tmp_path: Path, draws: Any) -> None:  # noqa: F811
    with pytest.raises(InputError, match="something there already"):
        convert(folders.write(), folders.write(name="other"))
    grouped = others.sparse(tmp_path, draws, activation="groupmax")
    with pytest.raises(InputError, match="'groupmax'"):
        convert(grouped, tmp_path / "out")
