"""Whatever happens to a stored file is found, named, and mended by the next run."""

from __future__ import annotations

import itertools
import os
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from steppe.core.errors import InputError
from steppe.store import open_run
from steppe.store.reported import reporting
from steppe.store.status import status_of
from steppe.store.verify import verify


def damage(path: Path, how: str, generator: np.random.Generator) -> None:
    content = bytearray(path.read_bytes())
    if how == "missing":
        path.unlink()
    elif how == "truncated":
        path.write_bytes(content[: int(generator.integers(len(content)))])
    elif how == "flipped":
        content[int(generator.integers(len(content)))] ^= 1 << int(generator.integers(8))
        path.write_bytes(content)
    else:
        path.write_bytes(generator.bytes(len(content)))


def stored(root: Path) -> list[Path]:
    """Every file whose content decides the run's numbers."""
    files = [*root.glob("curves.zarr/**/*"), *root.glob("done/**/*"), root / "moments.safetensors"]
    return sorted(path for path in files if path.is_file())


def test_a_sound_run(runs: Any) -> None:
    runs.whole()
    verdict = verify(runs.path)
    assert verdict.damage == ()
    assert verdict.sound == 3
    # Four files of the run (config, moments, provenance), the frame, three markers with two chunks.
    assert verdict.files >= 3 + 7 + 3 * 3
    assert "3 shards sound" in str(verdict)


def test_every_damaged_file_is_found_named_and_mended(runs: Any) -> None:
    runs.whole()
    before = runs.hashes()
    generator = np.random.default_rng(0)
    ways = itertools.cycle(["truncated", "flipped", "missing", "foreign", "flipped"])
    for path, how in zip(stored(runs.path), ways, strict=False):
        name = path.relative_to(runs.path).as_posix()
        if how == "missing" and path.parent.name == "curves" and path.stem.isdigit():
            continue  # without its manifest a shard is simply not finished
        damage(path, how, generator)
        verdict = verify(runs.path)
        told = str(verdict)
        assert verdict.damage, name
        assert name.removeprefix("curves.zarr/") in told, (name, told)
        runs.whole()
        assert verify(runs.path).damage == (), name
        assert runs.hashes() == before, name


def test_exactly_the_damaged_shards_are_computed_again(runs: Any) -> None:
    runs.whole()
    chunk = runs.path / "curves.zarr" / "l2" / "c" / "0" / "1" / "0"
    content = bytearray(chunk.read_bytes())
    content[-1] ^= 1
    chunk.write_bytes(content)
    looked = verify(runs.path, withdraw=False)
    assert [found.place for found in looked.damage] == ["curves, shard 1"]
    assert "l2/c/0/1/0: other content than was written" in looked.damage[0].fault
    assert looked.withdrawn == ()
    assert runs.whole() == []  # not known yet: sizes are right
    assert verify(runs.path).withdrawn == ("curves, shard 1",)
    assert runs.whole() == [1]


def test_nothing_is_withdrawn_under_a_process_at_work(runs: Any) -> None:
    runs.whole()
    folder = runs.start()
    chunk = runs.path / "curves.zarr" / "l2" / "c" / "0" / "1" / "0"
    chunk.write_bytes(chunk.read_bytes()[::-1])
    verdict = verify(runs.path)
    assert [found.place for found in verdict.damage] == ["curves, shard 1"]
    assert verdict.withdrawn == ()
    assert "running    process" in str(verdict)
    assert "when they have ended" in str(verdict)
    folder.close()
    assert verify(runs.path).withdrawn == ("curves, shard 1",)


def test_a_wrong_size_is_noticed_without_being_asked(runs: Any) -> None:
    runs.whole()
    chunks = runs.path / "curves.zarr" / "base_norm" / "c"
    (chunks / "0").unlink()
    (chunks / "2").write_bytes(b"")
    assert open_run(runs.path).dataset("curves")["sample"].values.tolist() == [4, 5, 6, 7]
    assert runs.whole() == [0, 2]


def test_strangers_and_leftovers_are_told_apart(runs: Any) -> None:
    runs.whole()
    (runs.path / "curves.zarr" / "l2" / "c" / "0" / "7").mkdir()
    (runs.path / "curves.zarr" / "l2" / "c" / "0" / "7" / "0").write_bytes(b"x")
    (runs.path / "done" / "curves" / "notes.txt").write_text("x")
    (runs.path / "curves.zarr" / "l2" / "c" / "0" / "1" / "0-copy").write_bytes(b"x")
    (runs.path / "working" / ".ab.unfinished").write_bytes(b"x")
    verdict = verify(runs.path)
    faults = " ".join(found.fault for found in verdict.damage)
    assert "l2/c/0/1/0-copy: foreign" in faults
    assert "notes.txt: foreign" in faults
    # A chunk of a shard that no manifest lists is none that any reader sees.
    assert verdict.leftovers == ("curves.zarr/l2/c/0/7/0", "working/.ab.unfinished")
    assert verdict.sound == 3


def test_status_of_a_run_that_is_half_done(runs: Any) -> None:
    folder = runs.start()
    folder.write_shard("curves", 0, runs.values(0, 4), seconds=2.0)
    status = status_of(runs.path)
    assert (status.done, status.left, status.workers) == (1, 2, 1)
    assert status.seconds_left == 4.0
    assert status.datasets[0].samples_done == 4
    text = str(status)
    assert "1 of 3 shards done" in text
    assert "running   process" in text
    assert "2 shards, about 4 s with 1 worker(s)" in text
    folder.close()
    runs.whole()
    status = status_of(runs.path)
    assert (status.left, status.running, status.reported) == (0, (), False)
    assert status.as_dict()["datasets"][0]["shards"] == 3


def test_a_copied_run_is_reported_as_the_run_is(runs: Any, tmp_path: Path) -> None:
    runs.whole()
    (runs.path / "summary.md").write_text("x")
    assert not status_of(runs.path).reported
    with reporting(open_run(runs.path)):
        runs.path.joinpath("summary.md").write_text("y")
    assert status_of(runs.path).reported
    # As `cp -r` does: every file is new, in an order that has nothing to say.
    for copy in (tmp_path / "copy", tmp_path / "copy of a copy"):
        shutil.copytree(runs.path, copy, copy_function=shutil.copyfile)
        os.utime(copy / "summary.md", (1, 1))
        assert status_of(copy).reported
        assert verify(copy).damage == ()
    runs.start(17).close()
    assert not status_of(runs.path).reported
    runs.whole(17)
    assert not status_of(runs.path).reported


def test_a_run_before_its_first_shard_cannot_say_how_long(runs: Any) -> None:
    runs.start().close()
    status = status_of(runs.path)
    assert status.seconds_left is None
    assert "running   nobody" in str(status)


def test_what_is_no_run(tmp_path: Path) -> None:
    for look in (verify, status_of):
        with pytest.raises(InputError, match="nothing there"):
            look(tmp_path / "none")
