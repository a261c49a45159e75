"""The README's Python example runs as it stands, and its commands exist."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from steppe.cli.main import app

README = (Path(__file__).resolve().parents[1] / "README.md").read_text(encoding="utf-8")


def test_the_python_example_runs(capsys: pytest.CaptureFixture[str]) -> None:
    (code,) = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    exec(compile(code, "README.md", "exec"), {})
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == ["real", "synthetic"]
    for line in lines:
        step, count = re.findall(r"step ([\d.]+), n = (\d+)$", line)[0]
        assert 0 < float(step) < 100
        assert 0 < int(count) <= 100


def test_every_command_named_is_one() -> None:
    blocks = re.findall(r"^```\n(.*?)^```", README, re.DOTALL | re.MULTILINE)
    named = set(re.findall(r"^steppe (\w+)", "".join(blocks), re.MULTILINE))
    names = {c.name or getattr(c.callback, "__name__", "") for c in app.registered_commands}
    names |= {str(group.name) for group in app.registered_groups}
    assert named
    assert named <= names


def test_every_link_and_picture_is_there() -> None:
    root = Path(__file__).resolve().parents[1]
    for target in re.findall(r"\]\(([^)#]+)\)", README):
        if not target.startswith("http"):
            assert (root / target).exists(), target
