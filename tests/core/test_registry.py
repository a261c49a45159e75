from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from steppe.core.errors import InputError
from steppe.core.registry import Registry


@dataclass(frozen=True)
class Entry:
    name: str
    value: int = 0


REGISTRY: Registry[Entry] = Registry("sheep", "sheep", [Entry("dolly", 1)])


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """An installed package whose entry point registers a sheep when it is imported."""
    info = tmp_path / "flock-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: flock\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[steppe.sheep]\nall = flock\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    yield
    sys.modules.pop("flock", None)


def test_an_unknown_name_says_the_nearest() -> None:
    with pytest.raises(InputError, match="did you mean 'dolly'"):
        REGISTRY.find("doly")


def test_an_entry_of_ones_own_is_found_and_can_be_replaced() -> None:
    registry: Registry[Entry] = Registry("sheep", "sheep", [Entry("dolly", 1)])
    registry.add(Entry("mine", 2))
    registry.add(Entry("mine", 3))
    assert registry["mine"].value == 3
    assert list(registry) == ["dolly", "mine"]


@pytest.mark.parametrize("name", ["dolly", "two words", "", "9lives", "a@b"])
def test_names_that_cannot_be_are_refused(name: str) -> None:
    registry: Registry[Entry] = Registry("sheep", "sheep", [Entry("dolly", 1)])
    with pytest.raises(InputError, match="sheep"):
        registry.add(Entry(name))


@pytest.mark.usefixtures("package")
def test_an_installed_package_adds_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    fresh: Registry[Entry] = Registry("sheep", "sheep", [Entry("dolly", 1)])
    monkeypatch.setattr(sys.modules[__name__], "REGISTRY", fresh)
    monkeypatch.setitem(sys.modules, "registry_under_test", sys.modules[__name__])
    Path(sys.path[0], "flock.py").write_text(
        "from registry_under_test import REGISTRY, Entry\nREGISTRY.add(Entry('shaun', 7))\n"
    )
    assert fresh["shaun"].value == 7
    assert list(fresh) == ["dolly", "shaun"]
