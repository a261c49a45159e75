from __future__ import annotations

import json
import sys
from contextlib import ExitStack
from typing import Any

import numpy as np
import pytest
import torch
from benchmarks.curve_cost import PARTS, SHAPES, run, shapes
from benchmarks.curve_cost.__main__ import main
from benchmarks.curve_cost.parts import ALL, BARE
from benchmarks.curve_cost.timing import bare_multiplication, matrices
from benchmarks.curve_cost.ways import Size, engine_ways, full_ways, lens_ways, work_of
from transformers import GPT2Config

from steppe.core.errors import InputError


def tiny() -> Any:
    sizes = {"n_layer": 3, "n_embd": 24, "n_head": 2, "vocab_size": 89, "n_positions": 128}
    return GPT2Config(**sizes, bos_token_id=0, eos_token_id=0)


@pytest.fixture(autouse=True)
def _tiny_shapes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.modules["benchmarks.curve_cost.timing"], "ROUNDS", 1)
    monkeypatch.setattr(sys.modules["benchmarks.curve_cost.parts"], "_WIDTHS", (64,))
    for name in list(SHAPES):
        monkeypatch.delitem(SHAPES, name)
    monkeypatch.setitem(SHAPES, "tiny", tiny)


@pytest.mark.parametrize("size", [Size(), Size(12, 5, 2, everywhere=True)])
def test_every_way_gives_the_same_curves(size: Size) -> None:
    work = work_of(shapes.load("tiny"), size, ALL)
    with ExitStack() as stack:
        found = {**full_ways(work), **engine_ways(work, half=True, stack=stack)}
        curves = {name: way() for name, way in found.items()}
    reference = curves["transformers, as the authors: all kept"]
    assert reference["l2"].max() > 0.1
    for name, curve in curves.items():
        tolerance = 0.05 if "bfloat16" in name else 1e-4
        for metric in ALL:
            largest = np.abs(reference[metric]).max()
            assert np.abs(curve[metric] - reference[metric]).max() < tolerance * largest, name


@pytest.mark.parity
@pytest.mark.filterwarnings("ignore")
def test_the_authors_way_through_transformer_lens_gives_them_too() -> None:
    work = work_of(shapes.load("tiny"), Size(), ALL)
    expected = full_ways(work)["transformers, lean hooks"]()
    for way in lens_ways(work).values():
        for metric, curve in way().items():
            np.testing.assert_allclose(curve, expected[metric], rtol=1e-3, atol=1e-5)


def test_the_matrices_after_the_site_are_those_that_are_multiplied() -> None:
    model = shapes.load("tiny")
    found = matrices(model, 1, unembedding=False)
    assert sum(matrix.numel() for matrix in found) == 2 * 12 * 24 * 24
    with_logits = matrices(model, 1, unembedding=True)
    assert [matrix.shape for matrix in with_logits[len(found) :]] == [(89, 24)]
    bare_multiplication(with_logits, 7)()


@pytest.mark.parametrize("part", [name for name in PARTS if name != "ways"])
def test_every_part_runs(part: str) -> None:
    report = run("tiny", [part])
    if part != "families":
        assert report.figures
    assert all(0 < figure.seconds < 60 for figure in report.figures)
    assert json.loads(json.dumps(report.as_dict()))["model"] == "tiny"


def test_the_command_prints_a_table_or_json(capsys: pytest.CaptureFixture[str]) -> None:
    main(["--model", "tiny", "--part", "everywhere"])
    shown = capsys.readouterr().out
    assert shown.startswith("tiny on processor ")
    assert BARE in shown
    main(["--model", "tiny", "--part", "long", "--json"])
    assert "figures" in json.loads(capsys.readouterr().out)


@pytest.mark.parametrize("dtype", ["tf32", "bfloat16"])
def test_the_number_format_is_the_one_asked_for(
    dtype: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = []

    def part(bench: Any) -> list[Any]:
        seen.append((bench.model.dtype, torch.get_float32_matmul_precision()))
        return []

    monkeypatch.setitem(PARTS, "ways", part)
    assert run("tiny", ["ways"], dtype=dtype).machine["format"] == dtype
    expected = {"tf32": (torch.float32, "high"), "bfloat16": (torch.bfloat16, "highest")}
    assert seen == [expected[dtype]]
    assert torch.get_float32_matmul_precision() == "highest"


def test_an_unknown_part_is_refused() -> None:
    with pytest.raises(InputError) as caught:
        run("tiny", ["family"])
    assert str(caught.value) == (
        "--part\n"
        "  got:      'family'\n"
        "  expected: ways, long, everywhere, families, growth, width, together\n"
        "  fix:      did you mean 'families'?"
    )
