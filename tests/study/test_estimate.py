"""What a run would take is what it takes: points are counted, and no weight is read for less."""

from __future__ import annotations

from typing import Any

import pytest

from steppe.core.errors import InputError
from steppe.propagation.counting import counted_points
from steppe.settings.catalogue import find_study
from steppe.study import starting
from steppe.study.estimate import Estimate, estimate
from steppe.study.running import open_context

SMALL: dict[str, dict[str, Any]] = {
    "giglemiani2024": {"samples": 4, "moments_samples": 100},
    "heimersheim2024": {
        "samples": 4, "draws": 2, "n_points": 11, "planes": 2, "plane_points": 5, "triangles": 1,
        "subdivisions": 3, "ascent_bases": 2, "ascent_starts": 1, "ascent_steps": 4,
        "control_samples": 100, "examples": 2, "example_draws": 2, "families": 1,
        "artificial_draws": 1, "encoded": 5, "moments_samples": 100,
    },
    "janiak2024": {"samples": 4, "planes": 2, "plane_points": 5},
}  # fmt: skip
# Of these parts every point is known before; others are searched, share paths or check a site.
EXACT = {"interpolations", "untrained", "slices", "planes", "examples", "curves"}


def asked(tiny_files: Any, name: str, **changes: Any) -> Any:
    files = {"model": str(tiny_files.model), "prompts": str(tiny_files.prompts), "device": "cpu"}
    if name != "janiak2024":
        files["sae"] = str(tiny_files.sae)
    return find_study(name).settings_class()(**{**files, **SMALL[name], **changes})


def study_of(name: str) -> Any:
    module = __import__(f"steppe.studies.{name}.study", fromlist=["STUDY"])
    return module.STUDY


@pytest.mark.parametrize("name", list(SMALL))
def test_points_are_known_before_any_weight_is_read(
    tiny_files: Any, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = asked(tiny_files, name)
    monkeypatch.setattr(starting, "load_model", lambda *_, **__: pytest.fail("weights were read"))
    found = estimate(study_of(name), settings)
    monkeypatch.undo()
    assert found.seconds is None
    assert found.memory is not None
    stated = {part.name: part.points for part in found.parts}
    context = open_context(study_of(name), settings)
    for part in study_of(name).plan(context.settings).parts:
        spec = part.spec(context)
        with counted_points() as points:
            part.measure(context, range(spec.samples))
        told = stated[part.name]
        assert told is not None, part.name
        if part.name in EXACT:
            # Planes and slices also run their corners.
            assert told <= points.count <= told + 10 * spec.samples, part.name
        else:
            assert 0.2 * told <= points.count <= 2.5 * told, part.name


def test_time_and_points_follow_from_a_few_samples(tiny_files: Any) -> None:
    settings = asked(tiny_files, "janiak2024", samples=40)
    found = estimate(study_of("janiak2024"), settings, timed=True)
    assert found.seconds is not None
    assert {part.name: part.samples for part in found.parts} == {
        "interpolations": 40, "untrained": 40, "slices": 2,
    }  # fmt: skip
    assert found.parts[0].points == estimate(study_of("janiak2024"), settings).parts[0].points
    assert found.seconds >= sum(part.seconds or 0 for part in found.parts) > 0


def test_what_is_left_out_and_memory_are_told(tiny_files: Any) -> None:
    settings = asked(tiny_files, "giglemiani2024", sae=None)
    found = estimate(study_of("giglemiani2024"), settings)
    assert "it needs an SAE" in str(found)
    assert "memory beside Python's own" in str(found)
    assert isinstance(found, Estimate)
    assert found.as_dict()["memory"]["total"] == found.memory.total  # type: ignore[union-attr]


def test_what_cannot_run_is_refused(tiny_files: Any) -> None:
    with pytest.raises(InputError, match="no such file or folder"):
        estimate(study_of("janiak2024"), asked(tiny_files, "janiak2024", prompts="./nowhere.txt"))
