"""Samples are added until claims are decided: the same run as one of so many samples."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import steppe
from steppe.core.errors import InputError
from steppe.core.parts import Part
from steppe.execution import computing
from steppe.execution.run import run_study
from steppe.execution.workers import Workers
from steppe.settings.configuration import settings_of
from steppe.store import Opening, Run, open_run

# A share of eight samples is not known to 0.3, one of 24 is, whatever it is.
LOOKS, PRECISION = (8, 24, 32), 0.3


def asked(tiny_files: Any) -> dict[str, Any]:
    return {
        "model": str(tiny_files.model),
        "prompts": str(tiny_files.prompts),
        "samples": LOOKS[-1],
        "planes": 1,
        "plane_points": 3,
        "only": ("interpolations",),
    }


def until(tiny_files: Any, out: Path, **more: Any) -> Run:
    return steppe.run(
        "janiak2024", out=out, **{**asked(tiny_files), "until": "decided", "looks": LOOKS, **more}
    )


@pytest.fixture(scope="module")
def found(tiny_files: Any, tmp_path_factory: pytest.TempPathFactory) -> Run:
    return until(tiny_files, tmp_path_factory.mktemp("until") / "run", precision=PRECISION)


def test_it_ends_where_all_is_known(found: Run, tiny_files: Any, tmp_path: Path) -> None:
    samples = found.config["resolved"]["samples"]
    assert samples in LOOKS[:-1]
    once = steppe.run(
        "janiak2024", out=tmp_path / "once", **asked(tiny_files) | {"samples": samples}
    )
    for name in once.datasets():
        assert found.dataset(name).drop_attrs().identical(once.dataset(name).drop_attrs())
    assert found.claims["number_at_end"].tolist() == once.claims["number"].tolist()


def test_a_look_sees_the_first_samples_alone(found: Run, tiny_files: Any, tmp_path: Path) -> None:
    alone = {**asked(tiny_files), "samples": LOOKS[0]}
    first = steppe.run("janiak2024", out=tmp_path / "first", **alone)
    seen = found.table("looks").query(f"samples == {LOOKS[0]}")
    assert seen["number"].tolist() == first.claims["number"].tolist()


def test_every_look_is_recorded(found: Run) -> None:
    samples = found.config["resolved"]["samples"]
    looked = [look for look in LOOKS if look <= samples]
    assert sorted(set(found.table("looks")["samples"])) == looked
    kept = [record["looks"] for record in found.provenance]
    assert [one["samples"] for one in kept] == looked
    assert [one["is_over"] for one in kept] == [False] * (len(looked) - 1) + [True]
    assert f"of at most {LOOKS[-1]}" in (found.path / "summary.md").read_text()


def test_asked_for_again_nothing_is_loaded(
    found: Run, tiny_files: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(computing, "compute", lambda *_: pytest.fail("it was loaded"))
    again = until(tiny_files, found.path, precision=PRECISION)
    assert again.claims.equals(found.claims)


def test_a_run_that_was_cut_off_ends_as_one_that_was_not(
    found: Run, tiny_files: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    measure = computing._measure
    calls: list[int] = []

    def cut_off(*given: Any) -> Any:
        calls.append(1)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return measure(*given)

    monkeypatch.setattr(computing, "_measure", cut_off)
    with pytest.raises(KeyboardInterrupt):
        until(tiny_files, tmp_path / "cut", precision=PRECISION)
    assert not (tmp_path / "cut" / "summary.md").exists()
    monkeypatch.setattr(computing, "_measure", measure)
    again = until(tiny_files, tmp_path / "cut", precision=PRECISION)
    assert again.claims.equals(found.claims)
    assert again.table("looks").equals(found.table("looks"))
    for name in found.datasets():
        assert np.array_equal(again.finished_samples(name), found.finished_samples(name))


def test_looks_that_were_planned_are_not_changed(found: Run, tiny_files: Any) -> None:
    with pytest.raises(InputError, match=r"another configuration: .*looks"):
        until(tiny_files, found.path, precision=PRECISION, looks=(4, *LOOKS))


def test_a_part_of_the_work_cannot_tell(tiny_files: Any, tmp_path: Path) -> None:
    settings = settings_of(
        {**asked(tiny_files), "study": "janiak2024", "until": "decided", "looks": LOOKS}, "a test"
    )
    with pytest.raises(InputError, match="--workers ray"):
        run_study(settings, Opening(tmp_path / "run"), Workers(part=Part(0, 2)))
    with pytest.raises(InputError):
        open_run(tmp_path / "run")
