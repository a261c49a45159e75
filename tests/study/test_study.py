"""What a study measures, what it leaves out, and what it makes of objects that are given."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest
import torch
import xarray as xr
from transformers import BatchEncoding

import steppe
from steppe.activations import TargetRequest
from steppe.core.errors import InputError, SteppeError
from steppe.execution.sweep import folder_name
from steppe.study import BaseSettings, CurvePart, Study, Table, WholePart, positive
from steppe.study.crossings import Level
from steppe.study.prompts import as_prompts, width_of


class Settings(BaseSettings):
    study: Literal["probe"] = "probe"
    site: str = "blocks.1.hook_resid_pre"


def study(kinds: list[str], **further: Any) -> Study:
    return Study(
        name="probe",
        question="Does it run?",
        settings=Settings,
        parts=lambda _: [CurvePart("paths", kinds, n_points=5, **further)],
    )


def run(kinds: list[str], tiny_files: Any, out: Path, **further: Any) -> steppe.store.Run:  # type: ignore[name-defined]
    return steppe.run(
        study(kinds, **further),
        model=tiny_files.model,
        prompts=tiny_files.prompts,
        samples=6,
        moments_samples=100,
        device="cpu",
        out=out,
    )


def test_what_needs_an_sae_is_left_out_without_one_and_said(
    tiny_files: Any, tmp_path: Path
) -> None:
    done = run(["real", "synthetic_baseline"], tiny_files, tmp_path / "run")
    assert list(done.dataset("paths")["kind"].values) == ["real"]
    assert "synthetic_baseline" in str(done.config["resolved"]["left_out"])
    assert "synthetic_baseline" in (done.path / "summary.md").read_text()


def test_a_study_that_can_measure_nothing_is_refused_before_weights_are_read(
    tmp_path: Path,
) -> None:
    with pytest.raises(InputError, match="--sae"):
        steppe.run(
            study(["sae_reconstruction"]),
            model=tmp_path / "no model at all",
            prompts="nowhere.txt",
            out=tmp_path / "run",
        )


def test_no_moments_are_estimated_where_no_part_needs_them(
    tiny_files: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("steppe.study.context.estimate_moments", lambda _: 1 / 0)
    done = run(["real"], tiny_files, tmp_path / "run")
    assert not (done.path / "moments.safetensors").exists()
    with pytest.raises(ZeroDivisionError):
        run(["random"], tiny_files, tmp_path / "other")


def test_logits_are_computed_for_metrics_of_logits_alone(
    tiny_files: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[bool] = []
    suffix = steppe.study.Context.suffix
    monkeypatch.setattr(
        steppe.study.Context,
        "suffix",
        lambda self, **options: asked.append(options["logits"]) or suffix(self, **options),  # type: ignore[func-returns-value]
    )
    run(["real"], tiny_files, tmp_path / "l2")
    run(["real"], tiny_files, tmp_path / "kl", metrics=("l2", "kl"))
    assert asked == [False, True]


def test_another_kind_changes_no_number(tiny_files: Any, tmp_path: Path) -> None:
    alone = run(["real"], tiny_files, tmp_path / "alone").dataset("paths")
    beside = run(["real", "random"], tiny_files, tmp_path / "beside").dataset("paths")
    # The same targets; a batch of other size may round the last bit otherwise.
    kept = beside.sel(kind="real")
    np.testing.assert_array_equal(
        alone["target_distance"].sel(kind="real"), kept["target_distance"]
    )
    np.testing.assert_allclose(alone["l2"].sel(kind="real"), kept["l2"], rtol=1e-5, atol=1e-6)


def test_objects_give_the_numbers_of_the_folders(tiny_files: Any, tmp_path: Path) -> None:
    named = run(["real"], tiny_files, tmp_path / "named").dataset("paths")
    model = steppe.load_model(tiny_files.model, device="cpu")
    tokens = steppe.load_prompts(tiny_files.prompts, model, length=10).tokens
    given = steppe.run(
        study(["real"]),
        model=model,
        prompts=torch.from_numpy(tokens),
        samples=6,
        moments_samples=100,
        device="cpu",
        out=tmp_path / "given",
    )
    np.testing.assert_array_equal(given.dataset("paths")["l2"], named["l2"])


@pytest.mark.parametrize(
    ("make", "match"),
    [
        (lambda request: request.base[:-1], "one per base"),
        (lambda request: request.base * float("nan"), "NaN"),
        (lambda request: request.base[:, :-1], "shape"),
    ],
)
def test_a_kind_that_makes_no_targets_is_named(
    make: Any, match: str, tiny_files: Any, tmp_path: Path
) -> None:
    def broken(request: TargetRequest) -> torch.Tensor:
        """A broken kind."""
        result: torch.Tensor = make(request)
        return result

    steppe.register_kind()(broken)
    with pytest.raises(InputError, match=f"(?s)'broken'.*{match}"):
        run(["real", "broken"], tiny_files, tmp_path / "run")
    steppe.activations.KINDS._entries.pop("broken")


def test_a_kind_that_needs_real_activations_is_given_them(tiny_files: Any, tmp_path: Path) -> None:
    pools: list[torch.Tensor] = []

    def half_mean(request: TargetRequest) -> torch.Tensor:
        """Half the base, half the mean of real activations."""
        assert request.pool is not None
        pools.append(request.pool)
        return (request.base + request.pool.mean(0)) / 2

    steppe.register_kind(needs=("pool",))(half_mean)
    run(["half_mean"], tiny_files, tmp_path / "run")
    steppe.activations.KINDS._entries.pop("half_mean")
    assert pools[0].shape == (100, 16)
    assert (pools[0].dtype, pools[0].device.type) == (torch.float32, "cpu")


def with_whole(whole: Any, **further: Any) -> Study:
    return replace(study(["real"]), wholes=lambda _: [WholePart("whole", whole)], **further)


def test_a_whole_is_measured_anew_for_more_samples_and_only_then(
    tiny_files: Any, tmp_path: Path
) -> None:
    measured: list[int] = []

    def count(context: Any) -> xr.Dataset:
        measured.append(context.settings.samples)
        return xr.Dataset({"norms": ("base", np.ones(context.settings.samples))})

    def other(_context: Any) -> xr.Dataset:
        return xr.Dataset({"norms": ("base", np.zeros(2))})

    def go(whole: Any, samples: int) -> Any:
        return steppe.run(
            with_whole(whole), model=tiny_files.model, prompts=tiny_files.prompts,
            samples=samples, moments_samples=100, device="cpu", out=tmp_path / "run",
        )  # fmt: skip

    for samples in (3, 3, 5):
        assert go(count, samples).dataset("whole").sizes == {"base": samples}
    assert measured == [3, 5]
    with pytest.raises(InputError, match=r"parts\.whole\.function"):
        go(other, 5)


@pytest.mark.parametrize(
    ("derive", "error"),
    [
        (lambda analysis: analysis["paths/l2"].sel(kind="rael"), KeyError),
        (lambda analysis: {}["gone"], KeyError),
        (lambda analysis: steppe.open_run("nowhere"), InputError),
        (lambda analysis: analysis["second"], ZeroDivisionError),
    ],
)
def test_a_fault_of_a_derived_quantity_is_not_taken_for_a_part_left_out(
    tiny_files: Any, tmp_path: Path, derive: Any, error: type[Exception]
) -> None:
    broken = replace(
        study(["real"]),
        derived={"mine": derive, "second": lambda _: 1 / 0},
        tables=[Table("mine", "", lambda analysis: analysis["mine"].to_dataframe(), ("mine",))],
    )
    options = {"samples": 2, "moments_samples": 100, "device": "cpu", "out": tmp_path / "run"}
    with pytest.raises(error) as raised:
        steppe.run(broken, model=tiny_files.model, prompts=tiny_files.prompts, **options)
    assert "while the derived quantity 'mine' was made" in raised.value.__notes__


@pytest.mark.parametrize(
    "derive",
    [
        lambda analysis: analysis["gone/l2"],
        lambda analysis: analysis["paths/kl"],
        lambda analysis: analysis.datasets["gone"]["l2"],
        lambda analysis: analysis.run.dataset("gone")["l2"],
        lambda analysis: analysis["second"] / 2,
    ],
)
def test_what_is_made_from_a_part_left_out_is_left_out(
    tiny_files: Any, tmp_path: Path, derive: Any
) -> None:
    partial = replace(
        study(["real"]),
        derived={"mine": derive, "second": lambda analysis: analysis["gone/l2"]},
        tables=[Table("mine", "", lambda analysis: analysis["mine"].to_dataframe(), ("mine",))],
    )
    options = {"samples": 2, "moments_samples": 100, "device": "cpu", "out": tmp_path / "run"}
    done = steppe.run(partial, model=tiny_files.model, prompts=tiny_files.prompts, **options)
    assert "mine" not in done.tables


def test_an_unknown_kind_says_the_nearest(tiny_files: Any, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="did you mean 'random'"):
        run(["randm"], tiny_files, tmp_path / "run")


@pytest.mark.parametrize(
    "prompts",
    [
        [[1, 2], [3]], [[-1, 2]], [[1, 10**6]], [], ["text"], 3.5, {"text": ["a"]},
        BatchEncoding({"input_ids": [[1, 2], [3]]}),
        BatchEncoding({"input_ids": [1, 2], "attention_mask": [1, 1]}),
    ],
)  # fmt: skip
def test_prompts_that_are_none_are_refused(prompts: Any, tiny_files: Any) -> None:
    model = steppe.load_model(tiny_files.model, device="cpu")
    with pytest.raises(InputError, match="prompt"):
        as_prompts(prompts, model, 2)


def test_what_a_tokenizer_returns_is_read_by_its_mask(tiny_files: Any) -> None:
    model = steppe.load_model(tiny_files.model, device="cpu")
    ids = torch.tensor([[1, 2, 3], [0, 4, 5]])
    whole = BatchEncoding({"input_ids": ids, "attention_mask": torch.ones_like(ids)})
    assert as_prompts(whole, model, 3).tokens.tolist() == ids.tolist()
    assert width_of(whole) == 3
    padded = BatchEncoding({"input_ids": ids, "attention_mask": (ids != 0).long()})
    with pytest.raises(InputError, match=r"(?s)prompt 1.*attention_mask with zeros.*1 of 2"):
        as_prompts(padded, model, 3)


def test_padding_that_no_mask_tells_is_refused(tiny_files: Any) -> None:
    class Tokenizer:
        pad_token_id, bos_token_id, eos_token_id, unk_token_id = 9, 0, 0, 0

    model = replace(steppe.load_model(tiny_files.model, device="cpu"), tokenizer=Tokenizer())
    with pytest.raises(InputError, match=r"(?s)prompt 1.*token 9"):
        as_prompts([[1, 2, 3], [9, 4, 5]], model, 3)
    told = {"input_ids": [[1, 2, 9]], "attention_mask": [[1, 1, 1]]}
    assert as_prompts(told, model, 3).tokens.tolist() == [[1, 2, 9]]


def test_a_prompt_length_that_given_ids_contradict_is_refused(
    tiny_files: Any, tmp_path: Path
) -> None:
    options: dict[str, Any] = {"model": tiny_files.model, "samples": 2, "out": tmp_path / "run"}
    ids = np.arange(1200).reshape(120, 10) % 64
    with pytest.raises(InputError, match=r"(?s)prompt_length.*5, for token ids of 10 tokens"):
        steppe.run(study(["real"]), prompts=ids, prompt_length=5, **options)
    assert not (tmp_path / "run").exists()


def test_the_same_prompts_for_another_reason_are_the_same_run(
    tiny_files: Any, tmp_path: Path
) -> None:
    def go(bos: str) -> Any:
        return steppe.run(
            study(["real"]), model=tiny_files.model, prompts=tiny_files.prompts, samples=2,
            moments_samples=100, device="cpu", bos=bos, out=tmp_path / "run",
        )  # fmt: skip

    go("auto")
    done = go("no")
    assert len(done.provenance) == 2
    assert "BOS: none is added (nothing asks for it)" in (done.path / "summary.md").read_text()
    with pytest.raises(InputError, match="bos: no -> yes"):
        go("yes")


def test_runs_of_other_lengths_are_named_or_aligned(tiny_files: Any, tmp_path: Path) -> None:
    def go(name: str, points: int, **settings: Any) -> Path:
        paths = replace(study([]), parts=lambda _: [CurvePart("paths", ["real"], n_points=points)])
        options: dict[str, Any] = {"samples": 2, "moments_samples": 100, "device": "cpu"} | settings
        steppe.run(
            paths,
            model=tiny_files.model,
            prompts=tiny_files.prompts,
            out=tmp_path / name,
            **options,
        )
        return tmp_path / name

    first, longer = go("first", 5), go("longer", 5, samples=3, seed=1)
    both = steppe.open_runs([first, longer])
    assert both.sizes["sample"] == 3
    assert both["l2"].sel(seed=0, sample=2).isnull().all()
    other = go("other", 7)
    with pytest.raises(InputError, match=f"step: 5 in {longer}; 7 in {other}"):
        steppe.open_runs([first, longer, other])
    short = steppe.open_runs([first, go("short", 5, prompt_length=4)])
    assert short.sizes["position"] == 10
    assert short["tokens"].sel(prompt_length=4, position=range(4)).notnull().all()
    assert short["tokens"].sel(prompt_length=4, position=range(4, 10)).isnull().all()


def test_a_sweeps_cell_that_fails_stops_no_other(tiny_files: Any, tmp_path: Path) -> None:
    swept = steppe.sweep(
        study(["real"]),
        {"layer": [0, 99, 1]},
        model=tiny_files.model,
        prompts=tiny_files.prompts,
        samples=2,
        moments_samples=100,
        device="cpu",
        out=tmp_path,
    )
    assert [one.path.name for one in swept.runs] == ["layer=0", "layer=1"]
    assert "99" in swept.failed["layer=99"]


def test_names_of_cells_stay_apart() -> None:
    assert folder_name({"seed": 1}) == "seed=1"
    names = {folder_name({"model": name}) for name in ("a/b", "a_b", "a b", "x" * 300)}
    assert len(names) == 4
    assert all("/" not in name and len(name) < 200 for name in names)


def test_an_axis_that_is_no_setting_is_refused(tmp_path: Path) -> None:
    for grid in ({"sede": [0]}, {"seed": []}, {}, {"seed": "01"}):
        with pytest.raises(SteppeError, match="sweep of probe"):
            steppe.sweep(study(["real"]), grid, out=tmp_path)  # type: ignore[arg-type]


def test_what_is_undefined_is_no_evidence() -> None:
    values = np.full(100, np.nan)
    values[:2] = 1.0
    assert positive(lambda x: float(np.nanmean(x)), values).verdict == "undecided"
    assert positive(lambda x: float(np.nanmean(x)), np.full(100, np.nan)).verdict == "undefined"
    many = np.where(np.arange(100) < 90, 1.0, np.nan)
    assert positive(lambda x: float(np.nanmean(x)), many).verdict == "holds"


def test_another_definition_of_a_part_is_another_run(tiny_files: Any, tmp_path: Path) -> None:
    run(["real"], tiny_files, tmp_path / "run")
    with pytest.raises(InputError, match="parts"):
        run(["random"], tiny_files, tmp_path / "run")


def test_settings_that_a_model_object_contradicts_are_refused(
    tiny_files: Any, tmp_path: Path
) -> None:
    model = steppe.load_model(tiny_files.model, device="cpu")
    asked = {"dtype": "bfloat16", "coordinates": "raw", "engine": "full", "device_map": "auto"}
    for name, value in asked.items():
        with pytest.raises(InputError, match=f"setting {name}"):
            steppe.run(
                study(["real"]),
                model=model,
                prompts=tiny_files.prompts,
                samples=2,
                moments_samples=100,
                out=tmp_path / name,
                **{name: value},
            )


def test_a_crossing_is_of_a_metric_that_grows_from_zero(tiny_files: Any) -> None:
    model = steppe.load_model(tiny_files.model, device="cpu")
    tokens = np.arange(20).reshape(2, 10)
    ways = torch.randn(2, 16, generator=torch.Generator().manual_seed(0))
    site = "blocks.1.hook_resid_pre"
    for level in (-1.0, 0.0, float("nan")):
        with pytest.raises(InputError, match="level"):
            steppe.crossings(model, tokens, site, ways, level=level)
    with pytest.raises(InputError, match="at the base itself"):
        steppe.crossings(model, tokens, site, ways, level=Level(0.5, "cosine"))
    points = steppe.paths.sphere(steppe.read_residuals(model, tokens, site), ways)
    curves = steppe.measure(model, tokens, site, points, ["kl"])["kl"].values
    level = 0.5 * float(curves.max(axis=1).min())
    found = steppe.crossings(model, tokens, site, ways, level=level)["crossing"].values
    for curve, angle in zip(curves, found, strict=True):
        first = int((curve >= level).argmax())
        assert 1.8 * (first - 1) - 1e-6 <= angle <= 1.8 * first + 1e-6


def test_a_listed_folder_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="nothing there"):
        steppe.open_runs([tmp_path / "missing"])
