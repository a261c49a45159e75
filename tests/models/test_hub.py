"""Loading from the hub, against a small server on this machine that answers as the hub does."""

from __future__ import annotations

import hashlib
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

from werkzeug import Request, Response

from steppe.models import load_model

COMMIT = "0123456789abcdef0123456789abcdef01234567"
ABSENT = {"status": 404, "headers": {"X-Error-Code": "EntryNotFound"}}

# The hub's address is read when huggingface_hub is imported, hence a process of its own.
SCRIPT = """
import json
from steppe.core.errors import InputError
from steppe.models import load_prompts, load_model

model = load_model("owner/tiny", device="cpu")
identity = model.identity
print(json.dumps([model.name, identity.source, identity.revision, identity.sha256]))
prompts = load_prompts("owner/rows", model, length=2, count=2)
print(json.dumps([prompts.tokens.tolist(), prompts.revision]))
for load in (load_model, lambda name: load_prompts(name, model, count=1)):
    try:
        load("owner/absent")
    except InputError as fault:
        print(json.dumps(str(fault)))
"""


def serve(httpserver: Any, repositories: dict[str, Path]) -> None:
    """Answer for some repositories, and with the hub's own error for any other."""

    def answer(request: Request) -> Response:
        for name, folder in repositories.items():
            if re.match(rf"/(api/models/|api/datasets/|datasets/|){name}(/|$)", request.path):
                return respond(request, name, folder)
        return Response("{}", status=404, headers={"X-Error-Code": "RepoNotFound"})

    httpserver.expect_request(re.compile(".*")).respond_with_handler(answer)


def respond(request: Request, name: str, folder: Path) -> Response:
    names = sorted(path.name for path in folder.iterdir())
    if "/resolve/" in request.path:
        path = folder / request.path.rpartition("/")[2]
        if not path.is_file():
            return Response("{}", **ABSENT)
        content = path.read_bytes()
        tag = hashlib.sha256(content).hexdigest()
        return Response(content, headers={"ETag": f'"{tag}"', "X-Repo-Commit": COMMIT})
    if "/paths-info/" in request.path or "/tree/" in request.path:
        asked = names if request.path.endswith(("main", COMMIT)) else []
        if "/paths-info/" in request.path:
            asked = [name for name in names if name in request.get_data(as_text=True)]
        if not asked and "/tree/" in request.path:
            return Response("{}", **ABSENT)
        sizes = {name: (folder / name).stat().st_size for name in asked}
        files = [
            {"type": "file", "path": name, "size": size, "oid": "0"} for name, size in sizes.items()
        ]
        return Response(json.dumps(files), content_type="application/json")
    siblings = [{"rfilename": name} for name in names]
    return Response(json.dumps({"id": name, "sha": COMMIT, "siblings": siblings}))


def test_a_model_and_a_data_set_of_the_hub(httpserver: Any, saved: Path, tmp_path: Path) -> None:
    import pyarrow
    from pyarrow import parquet

    rows = tmp_path / "rows"
    rows.mkdir()
    parquet.write_table(
        pyarrow.table({"input_ids": [[1, 2, 3], [4, 5, 6]]}), rows / "train.parquet"
    )
    serve(httpserver, {"owner/tiny": saved, "owner/rows": rows})
    environment = {
        **os.environ,
        "HF_ENDPOINT": httpserver.url_for("").rstrip("/"),
        "HF_HOME": str(tmp_path / "cache"),
        "HF_HUB_DISABLE_XET": "1",
        "HF_HUB_DISABLE_TELEMETRY": "1",
    }
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT], env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    identity, tokens, no_model, no_data = map(json.loads, done.stdout.splitlines())
    sha256 = load_model(saved, device="cpu").identity.sha256
    assert identity == ["owner/tiny", "hub", COMMIT, sha256]
    assert tokens == [[[1, 2], [4, 5]], COMMIT]
    assert no_model.startswith("model 'owner/absent' on the hub\n  got:      owner/absent is not a")
    assert no_data.startswith("prompts owner/absent\n")
