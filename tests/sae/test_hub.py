"""Files come from a hub (here a small server on loopback), and from the cache without it."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from huggingface_hub.errors import LocalEntryNotFoundError
from pytest_httpserver import HTTPServer
from werkzeug import Request, Response

from steppe.core.errors import InputError
from steppe.sae import hub
from steppe.sae.hub import fetch

COMMIT = "0123456789abcdef0123456789abcdef01234567"
FILES = {"cfg.json", "sae_weights.safetensors", "sparsity.safetensors"}
# A process of its own: HF_ENDPOINT and HF_HOME are read when huggingface_hub is imported.
LOAD_TWICE = """
from huggingface_hub import constants
from steppe.sae import load_sae
for offline in (False, True):
    constants.HF_HUB_OFFLINE = offline
    sae = load_sae("gpt2-small-res-jb/blocks.1.hook_resid_pre")
    print(offline, sae.identity.revision, sae.d_sae, sae.log10_rates is not None)
"""


@pytest.mark.parametrize("has_rates", [True, False])
def test_from_a_hub_and_again_without_it(
    folders: Any, tmp_path: Path, httpserver: HTTPServer, has_rates: bool
) -> None:
    rates = {"sparsity": torch.full((24,), -2.0)} if has_rates else None
    serve_folder(httpserver, folders.write(sparsity=rates))
    environment = {
        **os.environ,
        "HF_ENDPOINT": httpserver.url_for("").rstrip("/"),
        "HF_HOME": str(tmp_path / "hub"),
        "HF_HUB_DISABLE_XET": "1",
        "HF_HUB_DISABLE_TELEMETRY": "1",
        "HF_HUB_OFFLINE": "0",
    }
    command = [sys.executable, "-c", LOAD_TWICE]
    result = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    assert result.stdout.splitlines() == [
        f"False {COMMIT} 24 {has_rates}",
        f"True {COMMIT} 24 {has_rates}",
    ]
    asked_for = {request.path for request, _ in httpserver.log if "/resolve/" in request.path}
    assert {path.rpartition("/")[2] for path in asked_for} == FILES


def serve_folder(server: HTTPServer, folder: Path) -> None:
    """Answer as the hub does for the files of one SAE of one repository."""

    def answer(request: Request) -> Response:
        path = folder / request.path.rpartition("/")[2]
        if not path.exists():
            return Response(status=404, headers={"X-Error-Code": "EntryNotFound"})
        content = path.read_bytes()
        etag = f'"{hashlib.sha256(content).hexdigest()}"'
        return Response(content, headers={"ETag": etag, "X-Repo-Commit": COMMIT})

    for revision in ("main", COMMIT):
        for name in FILES:
            where = f"/jbloom/GPT2-Small-SAEs-Reformatted/resolve/{revision}"
            server.expect_request(f"{where}/blocks.1.hook_resid_pre/{name}").respond_with_handler(
                answer
            )


def test_no_cache_and_no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise LocalEntryNotFoundError("cannot find it")

    monkeypatch.setattr(hub, "hf_hub_download", refuse)
    with pytest.raises(InputError) as caught:
        fetch("someone/saes", "one", "v2")
    assert str(caught.value) == (
        "someone/saes@v2, folder one\n"
        "  got:      not in the cache, and the hub cannot be reached\n"
        "  expected: an SAE's folder on the hub: cfg.json and sae_weights.safetensors, or cfg.json "
        "and sae.safetensors, or params.npz, or params.safetensors, or hyperparams.json and "
        "checkpoints/final.safetensors, or config.json and ae.pt, or config.json and "
        "sae_weights.safetensors\n"
        "  fix:      check the names, HF_ENDPOINT, HF_HUB_OFFLINE and the network; "
        "or give a folder"
    )


def test_a_name_that_no_hub_allows() -> None:
    with pytest.raises(InputError, match="Repo id must"):
        fetch("some one/saes", "one")
