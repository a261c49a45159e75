"""A run that is continued, extended or begun anew: what stays, and what is written again."""

from __future__ import annotations

import itertools
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr

from steppe.core.errors import InputError
from steppe.core.parts import Part
from steppe.store import Opening, open_run
from steppe.store.manifest import read_manifest
from steppe.store.status import status_of
from steppe.store.verify import verify


def test_a_finished_run_has_nothing_left(runs: Any) -> None:
    assert runs.whole() == [0, 1, 2]
    before = runs.hashes()
    assert runs.whole() == []
    assert runs.hashes() == before
    assert not list((runs.path / "working").glob("*.json"))


def test_more_samples_keep_whole_shards_and_give_what_a_larger_run_gives(
    runs: Any, tmp_path: Path
) -> None:
    runs.whole(10)
    markers = {p.name: p.read_bytes() for p in (runs.path / "done" / "curves").iterdir()}
    assert runs.whole(17) == [2, 3, 4]
    for name in ("000000.json", "000001.json"):
        assert (runs.path / "done" / "curves" / name).read_bytes() == markers[name]
    run = open_run(runs.path)
    assert run.config["resolved"]["samples"] == run.config["asked"]["samples"] == 17
    np.testing.assert_array_equal(run.dataset("curves")["l2"].values, runs.values(0, 17)["l2"])
    at_once = type(runs)(tmp_path / "at_once")
    at_once.whole(17)
    assert at_once.hashes() == runs.hashes()


def test_fewer_samples_are_refused_with_the_difference(runs: Any) -> None:
    runs.whole(10)
    with pytest.raises(InputError, match=r"samples: 10 -> 8"):
        runs.start(8)
    with pytest.raises(InputError, match=r"seed: 0 -> 1"):
        Opening(runs.path).check({"samples": 12, "seed": 1})
    Opening(runs.path).check({"samples": 12, "seed": 0})


def test_an_extension_that_is_killed_before_any_of_its_files(
    runs: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs.whole(10)
    at_once = type(runs)(tmp_path / "at_once")
    at_once.whole(17)
    real = Path.replace
    for files in itertools.count():
        killed = type(runs)(tmp_path / f"killed-{files}")
        shutil.copytree(runs.path, killed.path)
        left = itertools.count(files, -1)

        def replace(path: Path, target: Path, left: Any = left) -> Path:
            if next(left) == 0:
                raise KeyboardInterrupt
            return real(path, target)

        with monkeypatch.context() as patch:
            patch.setattr(Path, "replace", replace)
            try:
                killed.start(17).close()
            except KeyboardInterrupt:
                pass
            else:
                break
        # Readers see what is finished, whichever files are new.
        curves = open_run(killed.path).dataset("curves")
        assert curves["sample"].values.tolist() == list(range(10))
        np.testing.assert_array_equal(curves["l2"].values, runs.values(0, 10)["l2"])
        assert killed.whole(17) == [2, 3, 4]
        assert killed.hashes() == at_once.hashes()
        assert verify(killed.path).damage == ()
    assert files >= 10


def test_a_run_is_not_extended_under_another_process(runs: Any) -> None:
    one = runs.start(10, part=Part(0, 2))
    with pytest.raises(InputError, match=r"samples: 10 -> 17, while another process is at work"):
        runs.start(17, part=Part(1, 2))
    runs.start(10, part=Part(1, 2)).close()
    one.close()
    runs.start(17).close()


def test_a_second_start_is_refused_and_writes_nothing(runs: Any) -> None:
    folder = runs.start()
    before = {path: path.read_bytes() for path in runs.path.rglob("*") if path.is_file()}
    for how in ({}, {"overwrite": True}, {"part": Part(0, 2)}):
        with pytest.raises(InputError, match="another run is at work in it"):
            runs.start(**how)
    assert {p: p.read_bytes() for p in runs.path.rglob("*") if p.is_file()} == before
    runs.fill(folder)
    folder.close()


def test_a_helper_joins_a_run_that_is_claimed(runs: Any) -> None:
    owner = runs.start()
    helper = Opening(runs.path, role="helper").open(runs.config(), {})
    helper.write_shard("curves", 1, runs.values(4, 8))
    assert owner.finished("curves") == {1: range(4, 8)}
    with pytest.raises(InputError, match="another configuration"):
        Opening(runs.path, role="helper").open(runs.config(seed=1), {})
    owner.close()


def test_a_helper_starts_no_run(runs: Any) -> None:
    with pytest.raises(InputError, match="seen by every machine"):
        Opening(runs.path, role="helper").open(runs.config(), {})
    assert not runs.path.exists()


def test_overwriting_starts_anew(runs: Any) -> None:
    runs.whole()
    folder = Opening(runs.path, overwrite=True).open(runs.config(8, seed=5), {})
    assert open_run(runs.path).config["resolved"]["seed"] == 5
    assert open_run(runs.path).datasets() == []
    assert folder.finished("curves") == {}
    assert len(open_run(runs.path).provenance) == 1
    folder.close()


def test_nothing_but_a_run_is_ever_removed(runs: Any, tmp_path: Path) -> None:
    thesis = tmp_path / "thesis"
    thesis.mkdir()
    (thesis / "chapter.txt").write_text("precious")
    with pytest.raises(InputError, match=r"a folder with other files \(chapter.txt\)"):
        Opening(thesis, overwrite=True).open(runs.config(), {})
    runs.whole()
    (runs.path / "notes.txt").write_text("precious too")
    with pytest.raises(InputError, match=r"files that steppe did not write: notes\.txt"):
        Opening(runs.path, overwrite=True).open(runs.config(), {})
    assert (thesis / "chapter.txt").read_text() == "precious"
    assert (runs.path / "notes.txt").read_text() == "precious too"
    assert runs.whole() == []


def test_a_part_does_not_overwrite(runs: Any) -> None:
    with pytest.raises(InputError, match="--overwrite with --shard"):
        runs.start(overwrite=True, part=Part(0, 2))
    assert not runs.path.exists()


def test_what_killed_processes_left_is_tidied_up(runs: Any) -> None:
    runs.whole()
    leftovers = [
        runs.path / "working" / ".0a1b.unfinished",
        runs.path / "working" / ".2c3d.unfinished",
    ]
    for path in leftovers:
        path.write_text("half")
    (runs.path / "done" / "curves" / "000001.json").unlink()
    assert runs.whole() == [1]
    assert not [path for path in leftovers if path.exists()]


def test_damaged_metadata_and_labels_are_written_again(runs: Any) -> None:
    runs.whole()
    before = runs.hashes()
    for name in ("zarr.json", "l2/zarr.json", "kind/c/0", "step/zarr.json"):
        (runs.path / "curves.zarr" / name).write_bytes(b"{")
    assert runs.whole() == []
    assert runs.hashes() == before
    (runs.path / "done" / "curves" / "layout.json").write_text("")
    assert runs.whole() == []
    assert runs.hashes() == before


def test_a_damaged_config_is_restored_by_its_own_command_only(runs: Any) -> None:
    runs.whole()
    path = runs.path / "config.yaml"
    before = path.read_bytes()
    for damaged in (before[:30], before.replace(b"seed: 0", b"seed: 1"), None):
        path.unlink() if damaged is None else path.write_bytes(damaged)
        with pytest.raises(InputError, match=r"config"):
            Opening(runs.path).open(runs.config(12, seed=9), {})
        assert runs.whole() == []
        assert path.read_bytes() == before


@pytest.mark.parametrize("cut", ["after the config", "after the first start"])
def test_a_start_that_was_cut_short_is_made_whole(
    runs: Any, monkeypatch: pytest.MonkeyPatch, cut: str
) -> None:
    def die(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    before = 0
    if cut == "after the first start":
        runs.whole(10)
        before = 10
    with monkeypatch.context() as patch:
        patch.setattr("steppe.store.manifest.Manifest.write", die)
        with pytest.raises(KeyboardInterrupt):
            runs.start(17)
    if before:
        # What was asked for first is still a run that can be gone on with, and so is the other.
        assert open_run(runs.path).config["resolved"]["samples"] == 17
    runs.whole(17)
    assert verify(runs.path).damage == ()
    assert "config.yaml" in read_manifest(runs.path, "run").files


def test_a_manifest_of_the_run_that_is_lost_is_written_again(runs: Any) -> None:
    runs.whole()
    (runs.path / "done" / "run.json").unlink()
    assert verify(runs.path).damage
    assert runs.whole() == []
    assert verify(runs.path).damage == ()
    assert read_manifest(runs.path, "run").files.keys() == {
        "config.yaml", "moments.safetensors", "provenance.json",
    }  # fmt: skip


def test_a_folder_that_cannot_be_written_is_refused_early(
    runs: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs.whole()
    monkeypatch.setattr("steppe.store.places.os.access", lambda *_: False)
    for how in ({}, {"overwrite": True}):
        with pytest.raises(InputError, match="is read-only") as caught:
            Opening(runs.path, **how).check({})
        assert "permissions" in caught.value.fix


@pytest.mark.parametrize("file", ["zarr.json", "kind/c/0"])
@pytest.mark.parametrize("content", [b"{}", b"", None])
def test_a_reader_is_told_of_damage(runs: Any, file: str, content: bytes | None) -> None:
    runs.whole()
    path = runs.path / "curves.zarr" / file
    path.unlink() if content is None else path.write_bytes(content)
    for read in (lambda: open_run(runs.path).dataset("curves"), lambda: status_of(runs.path)):
        with pytest.raises(InputError, match=file) as caught:
            read()
        assert "steppe check-run" in caught.value.fix


def test_a_damaged_small_dataset_is_written_again(runs: Any) -> None:
    folder = runs.start()
    small = xr.Dataset({"share": ("rank", np.array([50.0, 30.0]))})
    folder.write_dataset("latents", small)
    assert folder.has_dataset("latents")
    chunk = runs.path / "latents.zarr" / "share" / "c" / "0"
    chunk.write_bytes(chunk.read_bytes()[:-1])
    assert not folder.has_dataset("latents")
    folder.write_dataset("latents", small)
    xr.testing.assert_equal(open_run(runs.path).latents.load(), small)
    folder.close()


def test_provenance_is_completed_at_the_end_and_survives_damage(runs: Any) -> None:
    runs.whole()
    [record] = open_run(runs.path).provenance
    assert (record["command"], record["ending"]) == ("steppe", "finished")
    runs.start().lock.release()  # a process that was killed
    assert "ending" not in open_run(runs.path).provenance[1]
    (runs.path / "provenance.json").write_text("[{")
    with pytest.raises(InputError, match="provenance"):
        _ = open_run(runs.path).provenance
    runs.whole()
    assert len(open_run(runs.path).provenance) == 1
    assert (runs.path / "provenance.json.damaged").read_text() == "[{"


def test_a_manifest_of_another_run_or_shard_does_not_count(runs: Any, tmp_path: Path) -> None:
    runs.whole()
    other = type(runs)(tmp_path / "other")
    folder = Opening(other.path).open(runs.config(seed=3), {})
    folder.close()
    markers = other.path / "done" / "curves"
    markers.mkdir(parents=True)
    (markers / "000000.json").write_bytes((runs.path / "done/curves/000000.json").read_bytes())
    assert folder.finished("curves") == {}
    # Nor does one of this run in another's place.
    folder = runs.start()
    (runs.path / "done" / "curves" / "000000.json").rename(runs.path / "done/curves/000002.json")
    assert list(folder.finished("curves")) == [1]
    folder.close()
