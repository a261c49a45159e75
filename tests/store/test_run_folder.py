"""A run folder takes whole shards, keeps them, and refuses what is not its own."""

from __future__ import annotations

import errno
import hashlib
import json
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr
from numpy.typing import NDArray
from safetensors.numpy import load_file

from steppe.core.errors import InputError, RunFailedError
from steppe.store import RunFolder, Template, Variable, open_run

CONFIG = {"asked": {"samples": 10}, "resolved": {"samples": 10, "seed": 0, "sae": {"id": "a"}}}
DIMS = ("kind", "mode", "sample", "step")


def template(samples: int = 10) -> Template:
    return Template(
        samples=samples,
        shard_size=4,
        variables={
            "l2": Variable(DIMS, "1", "L2 distance"),
            "base_norm": Variable(("sample",), "1", "norm of the base"),
            "tokens": Variable(("sample", "position"), "1", "tokens of the prompt", "int64"),
        },
        fixed=xr.Dataset(
            coords={"kind": ["real", "random"], "mode": ["absolute", "relative"]},
            data_vars={"length": (("mode", "step"), np.arange(14.0).reshape(2, 7))},
            attrs={"reading": "code", "scale": np.float64(2)},
        ),
        sizes={"step": 7, "position": 3},
    )


def shard(samples: int, seed: int = 0) -> dict[str, NDArray[Any]]:
    rng = np.random.default_rng(seed)
    l2 = rng.normal(size=(2, 2, samples, 7)).astype(np.float32)
    l2[0, 0, 0, 3:] = np.nan
    return {
        "l2": l2,
        "base_norm": rng.normal(size=samples),
        "tokens": rng.integers(0, 50, (samples, 3)),
    }


@pytest.fixture
def folder(tmp_path: Path) -> RunFolder:
    made = RunFolder.create_or_resume(tmp_path / "run", CONFIG)
    made.create_dataset("curves", template())
    return made


def test_round_trip_with_nan_and_a_short_last_shard(folder: RunFolder) -> None:
    blocks = [shard(size, seed) for seed, size in enumerate((4, 4, 2))]
    for index in (2, 0, 1):
        folder.write_shard("curves", index, blocks[index])
    curves = open_run(folder.path).curves
    expected = np.concatenate([block["l2"] for block in blocks], axis=2)
    np.testing.assert_array_equal(curves["l2"].values, expected)
    assert curves["l2"].dims == DIMS
    assert curves["l2"].attrs == {"unit": "1", "long_name": "L2 distance"}
    assert curves["kind"].values.tolist() == ["real", "random"]
    assert curves["sample"].values.tolist() == list(range(10))
    assert curves["tokens"].dtype == np.int64
    assert curves["base_norm"].dtype == np.float32
    assert curves.attrs["reading"] == "code"
    np.testing.assert_array_equal(curves["length"], np.arange(14.0).reshape(2, 7))


def test_finished_samples_only(folder: RunFolder) -> None:
    folder.write_shard("curves", 2, shard(2, 5))
    folder.write_shard("curves", 0, shard(4, 6))
    curves = open_run(folder.path).curves
    assert curves["sample"].values.tolist() == [0, 1, 2, 3, 8, 9]
    np.testing.assert_array_equal(curves["l2"][:, :, 4:].values, shard(2, 5)["l2"])
    assert sorted(folder.finished("curves")) == [0, 2]


def test_a_dataset_without_a_finished_shard_is_empty(folder: RunFolder) -> None:
    assert open_run(folder.path).curves.sizes["sample"] == 0


def test_values_are_read_when_they_are_used(folder: RunFolder) -> None:
    folder.write_shard("curves", 0, shard(4))
    curves = open_run(folder.path).curves
    assert not curves["l2"].variable._in_memory


def test_killed_between_data_and_marker(folder: RunFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    def die(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("steppe.store.manifest.Manifest.write", die)
        with pytest.raises(KeyboardInterrupt):
            folder.write_shard("curves", 0, shard(4))
    assert 0 not in folder.finished("curves")
    assert open_run(folder.path).curves.sizes["sample"] == 0
    folder.write_shard("curves", 0, shard(4, 1))
    np.testing.assert_array_equal(open_run(folder.path).curves["l2"].values, shard(4, 1)["l2"])


def test_writing_a_finished_shard_again_takes_its_marker_away_first(
    folder: RunFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder.write_shard("curves", 0, shard(4))
    monkeypatch.setattr(
        "steppe.store.dataset.write_files", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt)
    )
    with pytest.raises(KeyboardInterrupt):
        folder.write_shard("curves", 0, shard(4, 1))
    assert 0 not in folder.finished("curves")


def test_a_damaged_marker_is_no_marker(folder: RunFolder) -> None:
    folder.write_shard("curves", 0, shard(4))
    (folder.path / "done" / "curves" / "000000.json").write_text('{"shard": 0')
    assert 0 not in folder.finished("curves")
    assert open_run(folder.path).curves.sizes["sample"] == 0


def test_a_manifest_holds_checksums_and_times(folder: RunFolder) -> None:
    folder.write_shard("curves", 1, shard(4), seconds=1.23456)
    manifest = json.loads((folder.path / "done" / "curves" / "000001.json").read_text())
    facts = manifest["facts"]
    assert (manifest["name"], facts["start"], facts["stop"]) == ("curves/000001", 4, 8)
    assert facts["seconds"] == 1.235
    names = ["base_norm/c/1", "l2/c/0/0/1/0", "tokens/c/1/0"]
    assert sorted(manifest["files"]) == [f"curves.zarr/{name}" for name in names]
    for name, (size, sha256) in manifest["files"].items():
        content = (folder.path / name).read_bytes()
        assert (len(content), hashlib.sha256(content).hexdigest()) == (size, sha256)


@pytest.mark.parametrize("number", [errno.EMFILE, errno.ENOMEM, errno.EACCES])
def test_a_machine_that_cannot_read_does_not_make_files_damaged(
    folder: RunFolder, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    folder.write_shard("curves", 0, shard(4))
    folder.write_moments({"mean": np.arange(3.0)})
    stored = [path for path in folder.path.rglob("*") if path.is_file() and "json" in path.name]
    before = {path: path.stat().st_mtime_ns for path in stored}

    def refuse(*_: object) -> bytes:
        raise OSError(number, os.strerror(number))

    with monkeypatch.context() as patch:
        patch.setattr(Path, "read_bytes", refuse)
        for use in (
            lambda: folder.create_dataset("curves", template()),
            lambda: folder.finished("curves"),
            lambda: folder.has_dataset("latents"),
            lambda: folder.write_moments({"mean": np.zeros(3)}),
            lambda: open_run(folder.path).curves,
        ):
            with pytest.raises(OSError, match=os.strerror(number)):
                use()
    assert {path: path.stat().st_mtime_ns for path in stored} == before
    assert open_run(folder.path).curves.sizes["sample"] == 4


def test_memory_that_is_not_enough_is_no_damage(
    folder: RunFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> bytes:
        raise MemoryError

    folder.write_shard("curves", 0, shard(4))
    monkeypatch.setattr(Path, "read_bytes", refuse)
    with pytest.raises(MemoryError):
        folder.create_dataset("curves", template())


def test_a_shard_of_nan_is_data(folder: RunFolder) -> None:
    block = shard(4)
    block["l2"] = np.full_like(block["l2"], np.nan)
    folder.write_shard("curves", 0, block)
    assert (folder.path / "curves.zarr" / "l2" / "c" / "0" / "0" / "0" / "0").exists()
    assert np.isnan(open_run(folder.path).curves["l2"]).all()


def test_variables_that_do_not_fit_are_all_named(folder: RunFolder) -> None:
    block = shard(4)
    block["l2"] = block["l2"][:, :, :3]
    block["kl"] = block.pop("tokens")
    with pytest.raises(InputError) as caught:
        folder.write_shard("curves", 0, block)
    assert "no tokens; unknown kl; l2 float32 (2, 2, 3, 7)" in caught.value.got
    assert "l2 float32 (2, 2, 4, 7)" in caught.value.expected
    assert 0 not in folder.finished("curves")


def test_types_that_would_lose_their_meaning_are_refused(folder: RunFolder) -> None:
    block = shard(4)
    block["tokens"] = block["tokens"].astype(float)
    with pytest.raises(InputError, match="tokens float64"):
        folder.write_shard("curves", 0, block)


def test_no_such_shard(folder: RunFolder) -> None:
    with pytest.raises(InputError, match=r"0 to 2 \(10 samples in shards of 4\)"):
        folder.write_shard("curves", 3, shard(4))


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_full_disk(folder: RunFolder, monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(number, "No space left on device")

    monkeypatch.setattr("steppe.store.writing.os.fsync", full)
    with pytest.raises(RunFailedError) as caught:
        folder.write_shard("curves", 0, shard(4))
    assert caught.value.got == "the disk is full"
    assert "give the same command again: finished shards are kept" in caught.value.fix
    assert 0 not in folder.finished("curves")


def test_creating_a_dataset_twice_keeps_it(folder: RunFolder) -> None:
    folder.write_shard("curves", 0, shard(4))
    folder.create_dataset("curves", template())
    assert 0 in folder.finished("curves")
    other = replace(template(), shard_size=5, sizes={"step": 8, "position": 3})
    with pytest.raises(InputError, match="choose another run folder"):
        folder.create_dataset("curves", other)


def test_a_whole_dataset_is_written_once(folder: RunFolder) -> None:
    latents = xr.Dataset(
        {"share": (("sample", "rank"), np.array([[50.0, np.nan]]), {"unit": "%"})},
        coords={"rank": [1, 2]},
        attrs={"n": 1},
    )
    assert not folder.has_dataset("latents")
    folder.write_dataset("latents", latents)
    assert folder.has_dataset("latents")
    xr.testing.assert_identical(open_run(folder.path).latents.load(), latents)
    folder.write_dataset("latents", latents * 2)
    xr.testing.assert_equal(open_run(folder.path).latents.load(), latents)


def test_moments_and_provenance(folder: RunFolder) -> None:
    folder.write_moments({"mean": np.arange(3.0)})
    moments = load_file(folder.path / "moments.safetensors")
    np.testing.assert_array_equal(moments["mean"], np.arange(3.0))
    assert open_run(folder.path).provenance == []
    folder.add_provenance({"device": "cpu"})
    folder.add_provenance({"device": "cuda", "threads": np.int64(2)})
    records = open_run(folder.path).provenance
    assert records == [{"device": "cpu"}, {"device": "cuda", "threads": 2}]


def test_nothing_unfinished_is_left(folder: RunFolder) -> None:
    folder.write_shard("curves", 0, shard(4))
    assert not list(folder.path.rglob("*.unfinished"))
