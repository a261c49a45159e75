"""Which folders are started, continued and refused, and what is said then."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import yaml

from steppe.core.errors import InputError, RunFailedError
from steppe.store import Opening, RunFolder, open_run
from steppe.store.places import check_available
from steppe.store.status import status_of
from steppe.store.verify import verify
from steppe.store.writing import write_atomically

CONFIG = {
    "asked": {"model": "demo"},
    "resolved": {"seed": 0, "kinds": ("real", "random"), "sae": {"id": "a", "path": Path("/x")}},
}


def changed(**resolved: object) -> dict[str, object]:
    return {"asked": {}, "resolved": {**CONFIG["resolved"], **resolved}}


def test_config_as_asked_and_as_resolved(tmp_path: Path) -> None:
    folder = RunFolder.create_or_resume(tmp_path / "deep" / "run", CONFIG)
    text = yaml.safe_load((folder.path / "config.yaml").read_text())
    assert text["asked"] == {"model": "demo"}
    assert text["resolved"]["kinds"] == ["real", "random"]
    assert open_run(folder.path).config["resolved"]["sae"] == {"id": "a", "path": "/x"}


def test_the_same_configuration_is_resumed(tmp_path: Path) -> None:
    RunFolder.create_or_resume(tmp_path, CONFIG)
    before = (tmp_path / "config.yaml").read_bytes()
    again = {
        "asked": {"model": "./demo"},
        "resolved": {**CONFIG["resolved"], "seed": np.int64(0)},
    }
    RunFolder.create_or_resume(tmp_path, again)
    assert (tmp_path / "config.yaml").read_bytes() == before


def test_another_configuration_is_refused_key_by_key(tmp_path: Path) -> None:
    RunFolder.create_or_resume(tmp_path, CONFIG)
    with pytest.raises(InputError) as caught:
        RunFolder.create_or_resume(tmp_path, changed(seed=1, sae={"id": "b"}, dtype="float64"))
    assert caught.value.got == (
        "a run of another configuration: seed: 0 -> 1; sae.id: a -> b; sae.path: /x -> nothing; "
        "dtype: nothing -> float64"
    )
    assert caught.value.exit_status == 2
    assert "--out" in caught.value.fix


def test_a_folder_can_be_refused_before_the_work_begins(tmp_path: Path) -> None:
    check_available(tmp_path / "new", {"seed": 1})
    assert not (tmp_path / "new").exists()
    RunFolder.create_or_resume(tmp_path, CONFIG)
    check_available(tmp_path, {"seed": 0, "kinds": None})
    with pytest.raises(InputError, match=r"seed: 0 -> 1"):
        check_available(tmp_path, {"seed": 1, "kinds": None})
    with pytest.raises(InputError, match=r"a file"):
        check_available(tmp_path / "config.yaml", {})


def test_a_folder_with_other_files_is_refused(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("x")
    with pytest.raises(InputError, match=r"a folder with other files \(thesis.tex\)"):
        RunFolder.create_or_resume(tmp_path, CONFIG)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]


def test_a_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "run"
    path.write_text("x")
    with pytest.raises(InputError, match=r"got:      a file"):
        RunFolder.create_or_resume(path, CONFIG)
    with pytest.raises(InputError, match=r"Not a directory"):
        RunFolder.create_or_resume(path / "below", CONFIG)


def test_a_read_only_place_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "mkdir", refuse)
    with pytest.raises(InputError, match=r"got:      Permission denied"):
        RunFolder.create_or_resume(tmp_path / "run", CONFIG)


def test_a_start_that_was_cut_short_can_be_repeated(tmp_path: Path) -> None:
    (tmp_path / "working").mkdir()
    (tmp_path / "working" / ".123.unfinished").write_text("asked:")
    RunFolder.create_or_resume(tmp_path, CONFIG)


@pytest.mark.parametrize("content", ["", "asked: [", "- a", "asked: {}\nresolved: 3", "\x00"])
def test_a_damaged_config_is_named(tmp_path: Path, content: str) -> None:
    (tmp_path / "config.yaml").write_text(content)
    for opened in (open_run, lambda path: RunFolder.create_or_resume(path, CONFIG)):
        with pytest.raises(InputError, match=r"config\.yaml"):
            opened(tmp_path)


@pytest.mark.parametrize("number", [1, 3])
def test_an_older_and_a_newer_format_are_refused(tmp_path: Path, number: int) -> None:
    text = f"format: {number}\nasked: {{}}\nresolved: {{}}\n"
    (tmp_path / "config.yaml").write_text(text)
    for use in (open_run, lambda path: Opening(path).open(CONFIG, {}), status_of, verify):
        with pytest.raises(InputError, match=rf"format {number}\n  expected: format 2"):
            use(tmp_path)
    with pytest.raises(InputError, match=f"format {number}"):
        Opening(tmp_path, overwrite=True).open(CONFIG, {})
    assert (tmp_path / "config.yaml").read_text() == text


@pytest.mark.parametrize(
    ("make", "found"),
    [
        (lambda path: None, "nothing there"),
        (lambda path: path.write_text("x"), "a file"),
        (lambda path: path.mkdir(), "a folder without config.yaml"),
    ],
)
def test_opening_what_is_no_run(tmp_path: Path, make: object, found: str) -> None:
    make(tmp_path / "run")  # type: ignore[operator]
    with pytest.raises(InputError) as caught:
        open_run(tmp_path / "run")
    assert caught.value.got == found


def test_a_run_without_the_dataset(tmp_path: Path) -> None:
    RunFolder.create_or_resume(tmp_path, CONFIG)
    with pytest.raises(InputError, match=r"no dataset 'curves'"):
        _ = open_run(tmp_path).curves


def test_tables_and_figures_of_a_run(tmp_path: Path) -> None:
    folder = RunFolder.create_or_resume(tmp_path, CONFIG)
    write_atomically(folder.path / "tables" / "table_1.csv", b"kind,mean\nreal,1.5\n")
    for name in ("a.png", "a.pdf", "a.md"):
        write_atomically(folder.path / "figures" / name, b"")
    run = open_run(tmp_path)
    assert run.tables["table_1"]["mean"].tolist() == [1.5]
    assert [path.name for path in run.figures] == ["a.pdf", "a.png"]


def test_a_file_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(RunFailedError, match=r"writing .*below"):
        write_atomically(tmp_path / "file" / "below", b"")
    write_atomically(tmp_path / "file", b"y")
    assert (tmp_path / "file").read_bytes() == b"y"
