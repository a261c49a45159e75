"""A whole run on the tiny model, and what its shards depend on."""

from __future__ import annotations

import runpy
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from matplotlib.figure import Figure
from numpy.typing import NDArray

import steppe
from steppe.cli.main import main
from steppe.core.errors import InputError
from steppe.core.parts import Part
from steppe.propagation import build_prefix
from steppe.reports import Drawing
from steppe.settings.configuration import settings_of
from steppe.statistics import crossing_step
from steppe.store import Opening, Run, open_run
from steppe.studies.heimersheim2024 import latents, optima, paths, sensitivity
from steppe.studies.heimersheim2024 import names as n
from steppe.studies.heimersheim2024.ascent import ASCENT, Climber
from steppe.studies.heimersheim2024.names import ADDED, CONTROL_SETUPS, PARTS, UNCHANGED
from steppe.studies.heimersheim2024.parts import FIRST, THEN
from steppe.studies.heimersheim2024.settings import Settings
from steppe.studies.heimersheim2024.study import STUDY
from steppe.study import Analysis, FunctionPart, open_study
from steppe.study.claims import claims_table
from steppe.study.running import open_context
from steppe.study.verdicts import COLUMNS

Arrays = Mapping[str, NDArray[Any]]
SMALL = {
    "samples": 12, "n_points": 31, "draws": 2, "families": 2, "planes": 1, "plane_points": 9,
    "examples": 1, "example_draws": 3,
    "triangles": 1, "subdivisions": 3, "ascent_bases": 2, "ascent_starts": 2, "ascent_steps": 12,
    "artificial_draws": 1, "control_samples": 100, "encoded": 50, "level": 0.3, "bootstrap": 100,
    "device": "cpu", "directions": ("pca:1-2", "pca:1_against"),
}  # fmt: skip


def settings(tiny_files: Any, **changes: Any) -> Settings:
    files = {name: str(getattr(tiny_files, name)) for name in ("sae", "prompts")}
    return Settings(**{**SMALL, "model": str(tiny_files.model), **files, **changes})


@pytest.fixture(scope="module")
def study(tiny_files: Any) -> paths.Study:
    return open_context(STUDY, settings(tiny_files))


@pytest.fixture(scope="module")
def finished(tiny_files: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a run that was started small, cut short and extended."""
    folder = tmp_path_factory.mktemp("heimersheim") / "run"
    started = open_study(STUDY, settings(tiny_files, samples=7), Opening(folder))
    for shard in started.left(Part())[:3]:
        started.folder.write_shard(shard.dataset, shard.index, started.compute(shard))
    started.folder.close({})
    given = {**SMALL, "sae": tiny_files.sae, "prompts": tiny_files.prompts}
    given["directions"] = ",".join(SMALL["directions"])
    sets = [f"--{key.replace('_', '-')}={value}" for key, value in given.items()]
    with pytest.raises(SystemExit) as end:
        main(["reproduce", "heimersheim2024", "--model", str(tiny_files.model),
              "--out", str(folder), *sets])  # fmt: skip
    assert not end.value.code
    return folder


def test_a_run_folder_holds_every_part(finished: Path) -> None:
    run = open_run(finished)
    assert set(run.datasets()) == set(PARTS)
    tables = run.tables
    assert set(tables) == {
        "plateaus", "directions", "further", "optima", "ascent", "features", "artificial",
        "controls", "encoding", "search", "claims",
    }  # fmt: skip
    figures = {path.stem for path in run.figures}
    assert figures == {
        "plateau_examples", "plateau_curves", "plateau_distances", "direction_examples",
        "direction_curves", "direction_distances", "direction_crossings", "plane_1", "triangles",
        "ascent", "feature_crossings", "artificial_plateaus", "control_curves", "encoding",
    }  # fmt: skip
    captions = [path.read_text() for path in (finished / "figures").glob("*.txt")]
    assert all("Model: " in text and ("n = " in text or "n:" in text) for text in captions)
    assert "HM1a" in (finished / "summary.md").read_text()


def test_no_text_lies_outside_of_a_figure(
    finished: Path, texts_outside: Callable[[Figure], list[str]]
) -> None:
    for name, drawing in drawings(analysis_of(finished)):
        assert not texts_outside(drawing.figure), name


def analysis_of(path: Path) -> Analysis:
    return STUDY.analysis.of(open_run(path), Settings)


def drawings(analysis: Analysis) -> Iterator[tuple[str, Drawing]]:
    """Every figure of a run with its name."""
    for figure in STUDY.figures:
        drawn = figure.draw(analysis)
        for suffix, drawing in [("", drawn)] if isinstance(drawn, Drawing) else drawn:
            yield f"{figure.name}{suffix}", drawing


def test_an_output_that_never_reaches_the_level_is_reported_as_that(finished: Path) -> None:
    run = analysis_of(finished)
    levels = {"level": 1e6, "flat_level": 1e6}
    analysis = replace(run, settings=run.settings.model_copy(update=levels))
    for dataset in analysis.datasets.values():
        dataset.load()
        for name in {f"{prefix}crossing" for prefix in ("", "shared_")} & set(dataset):
            dataset[name][:] = np.nan
            dataset[name.replace("crossing", "censored")][:] = True
    for output in STUDY.tables:
        table = output.make(analysis)
        assert len(table)
        if "crossing" in table:
            assert table["crossing"].isna().all()
            assert (table["never"] == table["n"]).all()
    claims = claims_table(STUDY.claims, analysis).set_index("id")
    # What never happens is later than any angle; a share of crossings that never are is none.
    assert claims.loc["HM1a", "verdict"] == "holds"
    assert claims.loc["HM2a", "verdict"] != "holds"
    assert claims.loc["HM6a", "verdict"] == "undefined"
    assert claims.loc["HM3a", "number"] == 0
    for name, drawing in drawings(analysis):
        drawing.figure.draw_without_rendering()
        assert "Model: " in drawing.caption, name


def test_the_claims_are_a_row_each(finished: Path) -> None:
    claims = pd.read_csv(finished / "tables" / "claims.csv")
    assert tuple(claims.columns[: len(COLUMNS)]) == COLUMNS
    assert claims["id"].is_unique
    assert {f"HM{number}" for number in range(1, 10)} <= {name[:3] for name in claims["id"]}
    assert set(claims["verdict"]) <= {"holds", "does not hold", "undecided", "undefined"}


@pytest.mark.usefixtures("no_report")
def test_an_extended_run_is_the_same_as_a_whole_one(
    finished: Path, tiny_files: Any, tmp_path: Path
) -> None:
    whole = open_study(
        STUDY, settings(tiny_files, only=("directions",)), Opening(tmp_path / "whole")
    )
    for shard in whole.left(Part()):
        whole.folder.write_shard(shard.dataset, shard.index, whole.compute(shard))
    whole.folder.close({})
    one, other = (
        open_run(path).dataset("directions").load() for path in (finished, tmp_path / "whole")
    )
    for name in one.data_vars:
        np.testing.assert_array_equal(one[name].values, other[name].values)


@pytest.mark.parametrize("part", [*FIRST, *THEN], ids=lambda part: part.name)
def test_a_sample_is_the_same_in_another_shard(study: paths.Study, part: FunctionPart) -> None:
    template = part.lay_out(study)
    assert template is not None
    last = min(2, template.samples)
    together = part.measure(study, range(0, last))
    alone = part.measure(study, range(last - 1, last))
    assert set(together) == set(template.variables)
    for name, variable in template.variables.items():
        axis = variable.dims.index("sample")
        shape = list(template.shape(variable))
        shape[axis] = last
        assert together[name].shape == tuple(shape), name
        np.testing.assert_array_equal(
            np.take(together[name], last - 1, axis), np.take(alone[name], 0, axis), err_msg=name
        )


def test_examples_begin_with_the_directions_that_all_bases_are_measured_in(
    study: paths.Study,
) -> None:
    shown = sensitivity.measure_examples(study, range(1, 2))
    measured = sensitivity.measure_directions(study, range(1, 2))
    np.testing.assert_array_equal(shown["kl"][:, :, :, 0], measured["kl"])
    assert (shown["kl"][:, :, :, 1:, -1] != measured["kl"][:, :, :, None, -1]).any()


def test_over_a_plane_the_output_is_nearest_to_that_of_the_activation_that_is_nearest(
    tiny_files: Any,
) -> None:
    study = open_context(STUDY, settings(tiny_files, plane_points=61))
    found = optima.measure_planes(study, range(0, 1))
    for corner, (x, y) in enumerate(found["corners"][0]):
        column = np.abs(found["first"][0] - x).argmin()
        row = np.abs(found["second"][0] - y).argmin()
        here = found["kl"][0, :, row, column]
        assert here.argmin() == corner
        assert here[corner] < 0.02 * found["kl"][0, corner].max()


def test_corners_are_activations_of_the_prompts_that_are_stored(study: paths.Study) -> None:
    plane = optima.measure_planes(study, range(0, 1))
    activations = study.activations_at(plane["corner_tokens"][0])
    expected = torch.cdist(activations, activations).numpy()
    places = torch.from_numpy(plane["corners"][0])
    np.testing.assert_allclose(torch.cdist(places, places).numpy(), expected, rtol=1e-4, atol=1e-4)
    triangle = optima.measure_triangles(study, range(0, 1))["corner_tokens"]
    real, _ = paths.drawn_real(study, study.bases(range(0, 1)), "corner_real", 1)
    first = triangle[n.CORNERS.index("real"), :, 0]
    np.testing.assert_allclose(study.activations_at(first), real[:, 0], rtol=1e-5, atol=1e-5)
    assert (triangle == n.NO_TOKEN).all(axis=-1).sum() == 5


def test_a_kind_of_encoded_vector_does_not_hang_on_the_others(study: paths.Study) -> None:
    found = latents.measure_encoding(study)["l0"]
    streams = study.generators("encoded_random", range(50))
    drawn = study.gaussian.draw(streams)
    with torch.no_grad():
        expected = (study.sae.encode(drawn) > 0).sum(dim=1).numpy()
    np.testing.assert_array_equal(found.sel(kind="random"), expected)


def test_search_and_curve_agree(study: paths.Study) -> None:
    found = sensitivity.measure_directions(study, range(0, 6))
    grid = {"straight": 1 / 30, "sphere": 6.0}
    agree = []
    for kind in range(3):
        for place, step in enumerate(grid.values()):
            scan = crossing_step(found["kl"][kind, place], study.settings.level) * step
            one = found["crossing"][kind, place, :, 0]
            agree += np.isclose(scan, one, rtol=1e-3, equal_nan=True).tolist()
            np.testing.assert_array_equal(np.isnan(one), found["censored"][kind, place, :, 0])
    # A rise and fall between two probes is the one thing that the search may miss.
    assert np.mean(agree) > 0.9


def test_artificial_bases_change_as_many_latents_as_they_say(study: paths.Study) -> None:
    bases = study.bases(range(0, 4)).activations
    made = latents.latent_changes(study, bases, study.generators("x", range(0, 4)))
    rows = study.sae.W_dec.detach().float()
    one, two = made[f"{ADDED}_1"] - bases, made[f"{ADDED}_2"] - bases
    with torch.no_grad():
        active = study.sae.encode(bases) > 0
    cosine = (
        torch.nn.functional.normalize(one, dim=1) @ torch.nn.functional.normalize(rows, dim=1).T
    )
    latent = cosine.argmax(dim=1)
    torch.testing.assert_close(cosine.max(dim=1).values, torch.ones(4), atol=1e-4, rtol=0)
    assert not active[torch.arange(4), latent].any()
    # Two added are one added and another.
    units = torch.nn.functional.normalize(rows, dim=1)
    further = torch.nn.functional.normalize(two - one, dim=1) @ units.T
    torch.testing.assert_close(further.max(dim=1).values, torch.ones(4), atol=1e-4, rtol=0)


def test_a_base_is_no_landmark_of_its_own(study: paths.Study) -> None:
    row = int(study.pool_rows[5])
    prefix = build_prefix(study.model, torch.from_numpy(study.prompts.tokens[row]), study.site)
    base = prefix.base
    # Read in another batch, the same activation differs in its last digits.
    assert 0 < float((study.pool[5] - base * (1 + 1e-7)).norm()) < 1e-3
    with paths.searching(study) as search:
        found = Climber(study, search, prefix, base * (1 + 1e-7))
    alike = (study.pool - base).norm(dim=1) < 1e-3
    assert len(found.real) == len(study.pool) - int(alike.sum())
    torch.testing.assert_close(found.real.norm(dim=1), torch.ones(len(found.real)))


def test_climbing_makes_directions_more_sensitive(study: paths.Study) -> None:
    found = ASCENT.measure(study, range(0, 2))
    before, after = found["crossing"][..., 0], found["crossing"][..., 1]
    assert np.nanmean(after) < np.nanmean(before) - 3
    assert (found["turned"] > 0).all()


def test_a_frame_on_the_sphere_is_orthonormal() -> None:
    generator = torch.Generator().manual_seed(0)
    base = torch.randn(20, generator=generator)
    base -= base.mean()
    frame = optima.tangent_frame(base, torch.randn(3, 20, generator=generator), centered=True)
    torch.testing.assert_close(frame @ frame.T, torch.eye(3).double())
    assert float((frame @ base.double()).abs().max()) < 1e-9
    assert float(frame.sum(dim=1).abs().max()) < 1e-6


def test_the_controls_are_another_model_and_later_sites(study: paths.Study) -> None:
    controls = study.once(sensitivity.controls)
    for name, one in controls.items():
        assert one.at(one.site) is one, name
    assert tuple(controls) == CONTROL_SETUPS
    assert controls["random_weights"].model.identity.source == "drawn"
    assert controls["last_layer"].site.name == "blocks.2.hook_resid_pre"
    assert controls["before_unembedding"].site.name == "blocks.2.hook_resid_post"
    for there in controls.values():
        np.testing.assert_array_equal(there.order, study.order)
        np.testing.assert_array_equal(there.pool_rows, study.pool_rows[:100])


def test_the_findings_of_a_run_are_told_from_its_tables(
    finished: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = Path(__file__).parents[3] / "benchmarks" / "heimersheim2024_findings.py"
    monkeypatch.syspath_prepend(path.parent)
    section = runpy.run_path(str(path))["section"](finished)
    claims = pd.read_csv(finished / "tables" / "claims.csv")
    assert all(f"| {id_} | " in section for id_ in claims["id"])
    assert "*Change of the output as real and random bases are moved" in section


def test_unknown_parts_and_options_of_other_studies_are_refused(tiny_files: Any) -> None:
    with pytest.raises(InputError, match="planes, triangles"):
        settings_of({"study": "heimersheim2024", "only": ["figure_1"]}, "config")
    with pytest.raises(InputError, match="unknown key 'reading'"):
        settings_of({"study": "heimersheim2024", "reading": "text"}, "the command line")


def test_every_part_moves_towards_the_same_random_activations(
    study: paths.Study, monkeypatch: pytest.MonkeyPatch
) -> None:
    ends = {}

    def record(part: str, kind: str) -> Callable[..., Arrays]:
        def measured(_: Any, __: Any, found: paths.Paths) -> Arrays:
            start, way = found[kind]
            ends[part] = (start + way)[:, 0]
            return {}

        return measured

    monkeypatch.setattr(sensitivity, "crossings", lambda *_: {})
    monkeypatch.setattr(sensitivity, "curves", record("plateaus", "real"))
    monkeypatch.setattr(latents, "crossings", record("artificial", UNCHANGED))
    sensitivity.measure_plateaus(study, range(4))
    latents.measure_artificial(study, range(4))
    torch.testing.assert_close(ends["plateaus"], ends["artificial"], rtol=1e-5, atol=1e-5)


def run_without_sae(tiny_files: Any, out: Path, **settings: Any) -> Run:
    files = {"model": str(tiny_files.model), "prompts": str(tiny_files.prompts)}
    steppe.run("heimersheim2024", out=out, **files, **{**SMALL, **settings})
    return open_run(out)


def test_without_an_sae_what_needs_one_is_left_out_and_said(
    tiny_files: Any, tmp_path: Path
) -> None:
    run = run_without_sae(
        tiny_files,
        tmp_path / "run",
        only=("planes", "features", "artificial", "ascent", "encoding"),
    )
    assert set(run.datasets()) == {"planes", "ascent"}
    assert not {"to_decoder", "latent"} & {*run.dataset("ascent")}
    assert "HP6" in set(run.tables["claims"]["id"])
    assert "HP7" not in set(run.tables["claims"]["id"])
    summary = (tmp_path / "run" / "summary.md").read_text()
    for name in ("features", "artificial", "encoding", "ascent (how near directions come"):
        assert f"left out: {name}" in summary


def test_a_part_that_is_singled_out_gives_all_that_is_made_of_it(
    tiny_files: Any, tmp_path: Path
) -> None:
    run = run_without_sae(tiny_files, tmp_path / "run", samples=2, only=("triangles",))
    assert {*run.tables} == {"search"}
    assert {path.stem for path in run.figures} == {"triangles"}


@pytest.mark.usefixtures("no_report")
def test_planes_alone_need_no_covariance(tiny_files: Any) -> None:
    study = open_context(STUDY, settings(tiny_files, only=("planes",)))
    optima.measure_planes(study, range(0, 1))
    assert "moments" not in study.needs
    assert "moments" not in vars(study)
