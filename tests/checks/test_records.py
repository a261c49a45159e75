"""A check that is kept says which model it was, what computed, and how each layer agrees."""

from __future__ import annotations

import json
from importlib.metadata import version

import pytest

from steppe.checks import records
from steppe.checks.checking import CheckRequest, check_model
from steppe.checks.records import errors_by_layer, table_of
from steppe.models import load_model
from steppe.propagation import self_check


@pytest.fixture(scope="module")
def recorded(tiny_files, tmp_path_factory):
    folder = tmp_path_factory.mktemp("records")
    request = CheckRequest(
        model=str(tiny_files.model), prompts=str(tiny_files.prompts), length=8, tokens=64,
        device="cpu", record=folder,
    )  # fmt: skip
    report = check_model(request)
    return report, folder


def test_the_file_holds_the_check(recorded, tiny_files) -> None:
    report, folder = recorded
    (file,) = folder.iterdir()
    assert report.record == str(file)
    record = json.loads(file.read_text())
    assert file.name == f"{tiny_files.model.name}-float32-cpu.json"
    assert record["loss"] == report.loss
    assert record["model"]["fingerprint"] == report.model["fingerprint"]
    assert record["made_by"]["packages"]["torch"] == version("torch")
    assert record["passed"]
    assert str(tiny_files.model.parent) not in record["model"]["name"]


def test_each_layer_has_its_own_error(tiny_files, monkeypatch) -> None:
    model = load_model(tiny_files.model, device="cpu")
    found = errors_by_layer(model, 8)
    layers = {0, model.n_layers // 2, model.n_layers - 1}
    assert set(found) == {f"blocks.{layer}.hook_resid_pre" for layer in layers}
    # What the self-check finds elsewhere is not this layer's.
    last = f"blocks.{model.n_layers - 1}.hook_resid_pre"

    def spoilt(model, site, length):
        check = self_check(model, site, length)
        check.details.update({case: 1.0 for case in check.details if case.startswith(last)})
        return check

    monkeypatch.setattr(records, "self_check", spoilt)
    found = errors_by_layer(model, 8)
    assert found.pop(last) == 1.0
    assert max(found.values()) < 1e-4


def test_a_table_shows_what_disagrees(recorded) -> None:
    (file,) = recorded[1].iterdir()
    record = json.loads(file.read_text())
    assert "disagrees" not in table_of([record])
    assert "**disagrees**" in table_of([{**record, "passed": False}])
    assert len(table_of([record, record]).splitlines()) == 4
