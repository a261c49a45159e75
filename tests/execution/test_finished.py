"""A finished run that is asked for again: known without its model, and only if nothing changed."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import steppe
from steppe.activations import KINDS
from steppe.core.errors import InputError, RunFailedError
from steppe.core.parts import Part
from steppe.execution.outcome import report_if_changed
from steppe.models import load_model
from steppe.settings.configuration import settings_of
from steppe.settings.request import request_of
from steppe.store import open_run
from steppe.store.locks import acquire
from steppe.study.registry import register_kind

SAMPLES = 6


@pytest.fixture(scope="module")
def sources(tiny_files: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the tiny model, SAE and prompts."""
    folder = tmp_path_factory.mktemp("sources")
    shutil.copytree(tiny_files.model, folder / "model")
    shutil.copytree(tiny_files.sae, folder / "sae")
    shutil.copy(tiny_files.prompts, folder / "prompts.jsonl")
    return folder


@pytest.fixture(scope="module")
def kept(sources: Path) -> dict[str, bytes]:
    """What the sources hold, by path."""
    files = (path for path in sources.rglob("*") if path.is_file())
    return {path.relative_to(sources).as_posix(): path.read_bytes() for path in files}


@pytest.fixture
def mended(sources: Path, kept: dict[str, bytes]) -> Iterator[None]:
    """The sources are as they were once a test that changed them is over."""
    yield
    for name, content in kept.items():
        (sources / name).write_bytes(content)


def asked(sources: Path) -> dict[str, Any]:
    return {
        "model": str(sources / "model"),
        "sae": str(sources / "sae"),
        "prompts": str(sources / "prompts.jsonl"),
        "samples": SAMPLES,
        "only": ("table_1", "figure_2"),
    }


@pytest.fixture(scope="module")
def first(sources: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run."""
    return steppe.run(
        "giglemiani2024", out=tmp_path_factory.mktemp("runs") / "run", **asked(sources)
    ).path


@pytest.fixture
def run(first: Path, tmp_path: Path) -> Path:
    """A copy of it."""
    return Path(shutil.copytree(first, tmp_path / "run"))


@pytest.fixture
def loaded(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The models that were loaded meanwhile."""
    found: list[str] = []

    def counted(model: str, **options: Any) -> Any:
        found.append(model)
        return load_model(model, **options)

    monkeypatch.setattr("steppe.study.starting.load_model", counted)
    return found


def again(sources: Path, run: Path, **more: Any) -> None:
    steppe.run("giglemiani2024", out=run, **{**asked(sources), **more})


def a_chunk(run: Path) -> Path:
    """A file of a shard."""
    return next(path for path in run.glob("curves.zarr/l2/c/**/*") if path.is_file())


def files(run: Path) -> dict[str, tuple[int, bytes]]:
    """Every file but the locks': when it was written, and what it holds."""
    paths = (path for path in run.rglob("*") if path.is_file() and "working" not in path.parts)
    return {str(path): (path.stat().st_mtime_ns, path.read_bytes()) for path in paths}


def test_a_finished_run_is_known_without_its_model(
    sources: Path, run: Path, loaded: list[str]
) -> None:
    before = files(run)
    again(sources, run)
    assert not loaded
    assert files(run) == before


@pytest.mark.usefixtures("mended")
@pytest.mark.parametrize(
    ("name", "told"),
    [("model/model.safetensors", "model_identity"), ("sae/sae_weights.safetensors", "sae_identity"),
     ("prompts.jsonl", "prompts_identity")],
)  # fmt: skip
def test_a_source_of_other_content_is_noticed_whatever_its_size_and_time_say(
    sources: Path, run: Path, loaded: list[str], name: str, told: str
) -> None:
    path = sources / name
    before, content = path.stat(), bytearray(path.read_bytes())
    if name.endswith("jsonl"):
        rows = content.decode().splitlines()
        content = bytearray("\n".join([rows[1], rows[0], *rows[2:], ""]), "utf-8")
    else:
        # The lowest bits of a number's fraction.
        content[-4] ^= 3
    path.write_bytes(content)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert path.stat().st_size == before.st_size
    with pytest.raises(InputError, match=told):
        again(sources, run)
    assert loaded


@pytest.mark.usefixtures("mended")
def test_what_no_identity_holds_is_left_to_the_model_itself(
    sources: Path, run: Path, loaded: list[str]
) -> None:
    """The eps of a norm is in no weight: the model is loaded and measured, as ever."""
    path = sources / "model" / "config.json"
    config = json.loads(path.read_text())
    path.write_text(json.dumps({**config, "layer_norm_epsilon": 0.01}))
    with pytest.raises(InputError, match="scales"):
        again(sources, run)
    assert loaded


@pytest.mark.parametrize("more", [{"seed": 1}, {"coordinates": "raw"}, {"reading": "text"}])
def test_another_setting_is_refused(
    sources: Path, run: Path, loaded: list[str], more: dict[str, Any]
) -> None:
    with pytest.raises(InputError, match=next(iter(more))):
        again(sources, run, **more)


def test_what_is_lacking_is_measured(sources: Path, run: Path, loaded: list[str]) -> None:
    before = files(run)
    chunk = a_chunk(run)
    chunk.unlink()
    again(sources, run)
    assert loaded
    assert chunk.read_bytes() == before[str(chunk)][1]


def test_a_damaged_run_is_refused(sources: Path, run: Path, loaded: list[str]) -> None:
    chunk = a_chunk(run)
    content = bytearray(chunk.read_bytes())
    content[len(content) // 2] ^= 4
    chunk.write_bytes(content)
    with pytest.raises(RunFailedError, match="damaged"):
        again(sources, run)
    assert not loaded


def test_fewer_samples_than_the_run_was_given_since_are_refused(
    sources: Path, run: Path, loaded: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        # An extension that ends as soon as the configuration is written.
        patch.setattr("steppe.study.running.StudyRun.create_datasets", _interrupt)
        with pytest.raises(KeyboardInterrupt):
            again(sources, run, samples=SAMPLES + 1)
    with pytest.raises(InputError, match=f"samples: {SAMPLES + 1} -> {SAMPLES}"):
        again(sources, run)
    again(sources, run, samples=SAMPLES + 1)
    assert loaded
    with pytest.raises(InputError, match=f"samples: {SAMPLES + 1} -> {SAMPLES}"):
        again(sources, run)


def test_a_run_of_ones_own_kind_is_never_known_by_its_request(
    sources: Path, tmp_path: Path, loaded: list[str]
) -> None:
    @register_kind()
    def halfway(request: Any) -> Any:
        return request.base / 2

    try:
        for count in (1, 2):
            again(sources, tmp_path / "own", kinds=("real", "halfway"), only=("table_1",))
            assert len(loaded) == count
    finally:
        del KINDS._entries["halfway"]
    assert report_if_changed(tmp_path / "own")


def test_texts_of_tokens_are_not_lost_with_a_report_that_was_cut_short(
    sources: Path, tmp_path: Path, loaded: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only a tokenizer gives them, so that the model is loaded once more."""
    with monkeypatch.context() as patch:
        patch.setattr("steppe.study.running.StudyRun.keep_texts", _interrupt)
        with pytest.raises(KeyboardInterrupt):
            again(sources, tmp_path / "run")
    assert not (tmp_path / "run" / "report.html").exists()
    again(sources, tmp_path / "run")
    assert len(loaded) == 2
    (tmp_path / "run" / "report.html").unlink()
    again(sources, tmp_path / "run")
    assert len(loaded) == 2
    assert (tmp_path / "run" / "report.html").exists()


def _interrupt(_run: Any) -> None:
    raise KeyboardInterrupt


def test_a_process_that_is_at_work_is_not_disturbed(sources: Path, run: Path) -> None:
    held = acquire(run, Part())
    with pytest.raises(InputError, match="another run is at work"):
        again(sources, run)
    held.release()


def test_only_a_report_that_would_be_another_is_made_anew(run: Path, drawn: list[str]) -> None:
    assert not report_if_changed(run)
    before = files(run)
    assert not drawn
    figure = run / "figures" / "figure_2.png"
    figure.unlink()
    assert report_if_changed(run)
    assert drawn == ["figure_2"]
    assert {name: content for name, (_, content) in files(run).items() if "figures" in name} == {
        name: content for name, (_, content) in before.items() if "figures" in name
    }
    table = run / "tables" / "table_1.csv"
    table.write_text("mine")
    assert report_if_changed(run)
    assert table.read_text() != "mine"


def test_a_report_is_made_anew_with_other_code_and_from_other_results(
    sources: Path, run: Path, drawn: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr("steppe.store.reported.code_sha256", lambda: "another")
        assert report_if_changed(run)
        assert drawn == ["figure_2"]
        assert not report_if_changed(run)
    again(sources, run, samples=SAMPLES + 2)
    assert len(drawn) == 2
    assert not report_if_changed(run)
    steppe.report(run)
    assert len(drawn) == 3


def test_what_is_not_finished_is_not_reported(run: Path, drawn: list[str]) -> None:
    # A summary of a part of the samples would state all of them, and one of none is nothing.
    before = (run / "summary.md").read_bytes()
    for shard in (run / "done" / "curves").glob("[0-9]*.json"):
        shard.unlink()
    for write in (steppe.report, report_if_changed):
        with pytest.raises(InputError, match="not finished yet: curves"):
            write(run)
    shutil.rmtree(run / "curves.zarr")
    with pytest.raises(InputError, match="not finished yet: curves"):
        steppe.report(run)
    assert (run / "summary.md").read_bytes() == before
    assert not drawn


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The figures that were drawn meanwhile."""
    from steppe.study import reporting

    found: list[str] = []

    def counted(folder: Path, name: str, drawing: Any) -> Any:
        found.append(name)
        return save(folder, name, drawing)

    save: Callable[..., Any] = reporting.save_drawing
    monkeypatch.setattr(reporting, "save_drawing", counted)
    return found


def test_a_request_is_of_files_here_alone(sources: Path, tmp_path: Path) -> None:
    def made(**more: Any) -> Any:
        return request_of(
            settings_of({"study": "giglemiani2024", **asked(sources), **more}, "test")
        )

    assert made() == made()
    assert made(model="owner/model") is None
    assert made(sae="gpt2-small-res-jb/blocks.1.hook_resid_pre") is None
    assert made(prompts="owner/texts") is None
    steppe.directions.register("mine", np.ones(16))
    assert made(kinds=("real", "given:mine")) is None
    (tmp_path / "saes").mkdir()
    (tmp_path / "saes" / "one").symlink_to(sources / "sae")
    before = made(sae=str(tmp_path / "saes"))
    config = sources / "sae" / "cfg.json"
    content = config.read_text()
    config.write_text(content + " ")
    try:
        assert made(sae=str(tmp_path / "saes")) != before
    finally:
        config.write_text(content)
    assert made(sae=str(tmp_path / "saes")) == before


def test_the_bundled_model_makes_a_request() -> None:
    found = request_of(settings_of({"study": "giglemiani2024"}, "test"))
    assert found is not None
    assert found.sources == {"demo"}


def test_what_the_hub_gave_is_not_known_by_files_here(first: Path, sources: Path) -> None:
    resolved = dict(open_run(first).config["resolved"])
    request = request_of(settings_of({"study": "giglemiani2024", **asked(sources)}, "test"))
    assert request is not None
    assert request.tells_all_of(resolved)
    for name, other in (
        ("model_identity", {"source": "hub"}),
        ("model_identity", {"revision": "0" * 40}),
        ("sae_identity", {"revision": "0" * 40}),
        ("sae_identity", {"source": "owner/name"}),
        ("prompts_identity", {"source": "owner/name"}),
    ):
        assert not request.tells_all_of({**resolved, name: {**resolved[name], **other}})
