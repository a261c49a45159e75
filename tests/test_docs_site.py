"""The documentation builds: links lead somewhere, names are found; quick notebooks run."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]


def test_the_site_builds_and_holds_the_api(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--quiet", "--site-dir", str(tmp_path)],
        cwd=ROOT, capture_output=True, text=True, check=False,
        env=os.environ | {
            "NO_MKDOCS_2_WARNING": "1", "PYTHONWARNINGS": "ignore:IProgress not found",
            "STEPPE_RUN_NOTEBOOKS": "false",
        },
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    api = (tmp_path / "api" / "index.html").read_text(encoding="utf-8")
    for name in ("metrics.measure.measure", "execution.calls.run", "study.registry.register_kind"):
        assert f'id="steppe.{name}"' in api
    pages = {page.stem for page in (ROOT / "docs").glob("*.md")}
    assert {path.parent.name for path in tmp_path.glob("*/index.html")} >= pages - {"index"}
    shown = {path.parent.name: path.read_text(encoding="utf-8") for path in tmp_path.glob(
        "notebooks/*/index.html"
    )}  # fmt: skip
    assert set(shown) == {book.stem for book in (ROOT / "docs" / "notebooks").glob("*.ipynb")}


# The others run studies, which takes minutes: `make docs` runs them all.
@pytest.mark.parametrize(
    ("name", "said"),
    [("first_curve", "half a nat after"), ("model_and_sae", "mean KL at the end")],
)
def test_a_notebook_runs(name: str, said: str, capsys: pytest.CaptureFixture[str]) -> None:
    book = json.loads((ROOT / "docs" / "notebooks" / f"{name}.ipynb").read_text(encoding="utf-8"))
    defined: dict[str, object] = {}
    for number, cell in enumerate(book["cells"]):
        if cell["cell_type"] == "code":
            code = compile("".join(cell["source"]), f"{name}, cell {number}", "exec")
            exec(code, defined)
    assert said in capsys.readouterr().out


def test_notebooks_are_kept_without_what_they_print() -> None:
    for book in (ROOT / "docs" / "notebooks").glob("*.ipynb"):
        cells = json.loads(book.read_text(encoding="utf-8"))["cells"]
        assert not [cell for cell in cells if cell.get("outputs") or cell.get("execution_count")]


def test_every_page_is_in_the_table_of_contents() -> None:
    listed = (ROOT / "mkdocs.yml").read_text(encoding="utf-8")
    pages = [*(ROOT / "docs").glob("*.md"), *(ROOT / "docs").glob("notebooks/*.ipynb")]
    assert not [page.name for page in pages if page.name not in listed]
