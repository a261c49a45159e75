"""The README's Python example runs as it stands, and its commands exist."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from steppe.cli.main import app
from steppe.settings.study_settings import StudySettings
from steppe.studies.ferreira2026.settings import Settings as Ferreira
from steppe.studies.giglemiani2024.settings import Settings as Giglemiani
from steppe.studies.heimersheim2024.settings import Settings as Heimersheim
from steppe.studies.janiak2024.settings import Settings as Janiak
from steppe.studies.lee2024.settings import Settings as Lee

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


def test_the_studies_that_run_without_an_sae_are_named() -> None:
    (line,) = re.findall(r"\(`--accept-sae` goes on\);(.*?)run without an SAE", README, re.DOTALL)
    studies = (Ferreira, Giglemiani, Heimersheim, Janiak, Lee)
    optional = {s.model_fields["study"].annotation.__args__[0] for s in studies}
    assert set(re.findall(r"\w+202\d", line)) == optional


def test_help_says_what_is_read() -> None:
    said = {name: str(field.description) for name, field in StudySettings.model_fields.items()}
    assert ".gguf" in said["model"]
    assert "docs/saes.md" in said["sae"]
    assert "unless device_map" in said["dtype"]
