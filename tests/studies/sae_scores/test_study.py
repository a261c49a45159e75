"""Scores of SAEs: a planted threshold feature ranks first, numbers are those of plain passes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from safetensors.torch import save_file
from transformers import GPT2Config, GPT2LMHeadModel

import steppe
from steppe.core.errors import InputError
from steppe.sae.releases import Published, releases, sae_lens_releases
from steppe.store import Run
from steppe.studies.sae_scores.latent_table import median_with_ends
from steppe.studies.sae_scores.scores import SCORES, Score, ranked

WIDTH, VOCABULARY, D_SAE, PLANTED = 16, 24, 40, 7
SITE = "blocks.1.hook_resid_pre"


def axes() -> torch.Tensor:
    """Mean-free directions at right angles: the base, the feature, what is written, and others."""
    drawn = torch.randn(WIDTH, WIDTH - 1, generator=torch.Generator().manual_seed(3))
    return torch.linalg.qr(drawn - drawn.mean(dim=0))[0].T


def threshold_model() -> GPT2LMHeadModel:
    """Its second block writes what the output reads, where the feature lies above a threshold."""
    config = GPT2Config(
        vocab_size=VOCABULARY, n_positions=12, n_embd=WIDTH, n_layer=2, n_head=1, n_inner=1,
        activation_function="relu", tie_word_embeddings=False, bos_token_id=0, eos_token_id=0,
    )  # fmt: skip
    torch.manual_seed(0)
    model = GPT2LMHeadModel(config).eval()
    base, feature, written, *others = axes()
    generator = torch.Generator().manual_seed(4)
    with torch.no_grad():
        for block in model.transformer.h:
            for part in (block.attn.c_proj, block.mlp.c_fc, block.mlp.c_proj):
                part.weight.zero_()
                part.bias.zero_()
        spread = torch.randn(VOCABULARY, len(others), generator=generator)
        model.transformer.wte.weight.copy_(8 * base + spread @ torch.stack(others))
        model.transformer.wpe.weight.zero_()
        mlp = model.transformer.h[1].mlp
        # The norm makes the stream 4 long: a feature is met above some 0.4 of it.
        mlp.c_fc.weight.copy_(feature[:, None])
        mlp.c_fc.bias.fill_(-1.5)
        mlp.c_proj.weight.copy_(60 * written[None])
        # The output also reads a little of all else, as those of models do.
        heads = torch.arange(VOCABULARY, dtype=torch.float32) / VOCABULARY
        little = 0.02 * torch.randn(VOCABULARY, WIDTH, generator=generator)
        model.lm_head.weight.copy_(heads[:, None] * written + little)
    return model


def write_sae(folder: Path, decoder: torch.Tensor, bias: float, further: dict[str, Any]) -> None:
    folder.mkdir(parents=True)
    weights = {
        "W_enc": decoder.T.contiguous(), "b_enc": torch.full((len(decoder),), bias),
        "W_dec": decoder, "b_dec": torch.zeros(WIDTH),
    }  # fmt: skip
    save_file(weights, folder / "sae_weights.safetensors")
    config = {
        "architecture": "standard", "d_in": WIDTH, "d_sae": len(decoder), "dtype": "float32",
        "apply_b_dec_to_input": True, "normalize_activations": "none",
        "metadata": {"sae_lens_version": "6.0.0", "hook_name": SITE, **further},
    }  # fmt: skip
    (folder / "cfg.json").write_text(json.dumps(config))


def near(direction: torch.Tensor, seed: int) -> torch.Tensor:
    """Unit rows that point more or less in a direction."""
    drawn = torch.randn(D_SAE, WIDTH - 1, generator=torch.Generator().manual_seed(seed)) @ axes()
    rows = direction + 0.1 * drawn
    return rows / rows.norm(dim=1, keepdim=True)


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    folder = tmp_path_factory.mktemp("planted")
    threshold_model().save_pretrained(folder / "model")
    _, feature, _, *others = axes()
    # Its rows point towards nothing that matters, but for one.
    blind = near(others[0], 1)
    blind -= (blind @ feature)[:, None] * feature
    blind[PLANTED] = feature
    shown = {"neuronpedia_id": "tiny/1-res-planted"}
    write_sae(folder / "saes" / "blind", blind, 2.0, shown)
    # All of its rows point more or less towards the feature.
    write_sae(folder / "saes" / "seeing", near(feature, 2), 1.0, {})
    rows = np.random.default_rng(0).integers(0, VOCABULARY, size=(120, 10)).tolist()
    (folder / "prompts.jsonl").write_text("\n".join(json.dumps({"input_ids": row}) for row in rows))
    return {
        "model": str(folder / "model"), "saes": [str(folder / "saes")],
        "prompts": str(folder / "prompts.jsonl"), "prompt_length": 10, "bos": "no",
        "samples": 12, "sequences": 6, "anchors": 4, "pairs": 2, "moments_samples": 500,
        "latent_prompts": 6, "latent_length": 60, "latents_of": "blind", "scale": 0.1, "level": 0.3,
        "bootstrap": 100, "accept_sae": True, "device": "cpu",
    }  # fmt: skip


@pytest.fixture(scope="module")
def done(files: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> Run:
    return steppe.run("sae_scores", **files, out=tmp_path_factory.mktemp("run") / "scores")


def test_the_sae_whose_rows_cross_the_threshold_ranks_first(done: Run) -> None:
    table = done.table("ranking").merge(done.table("rows"), on="sae").set_index("sae")
    assert table.loc["seeing", "alive_area_low"] > max(0.9, table.loc["blind", "alive_area_high"])


def test_the_planted_latent_ranks_first_and_only_along_its_row(done: Run) -> None:
    table = pd.read_csv(done.path / "figures" / "latents.csv")
    assert len(table) == D_SAE
    assert table["latent"][0] == PLANTED
    assert np.isfinite(table["crossing"][0])
    assert np.isinf(table["crossing"][1:]).all()
    assert np.isinf(table["crossing_against"]).all()
    # The latest tokens are those that the output says more of what is written.
    assert done.dataset("latents")["next_token"].sel(sample=PLANTED).values.tolist() == [
        23, 22, 21, 20, 19,
    ]  # fmt: skip
    assert table["neuronpedia"][0] == f"https://www.neuronpedia.org/tiny/1-res-planted/{PLANTED}"


def kls(model: GPT2LMHeadModel, tokens: np.ndarray, points: np.ndarray) -> torch.Tensor:
    """Log-probabilities after a plain pass with the last activation before block 1 replaced."""
    found = []
    for point in [None, *points]:

        def replace(_: Any, given: tuple[torch.Tensor, ...], point: Any = point) -> Any:
            stream = given[0].clone()
            if point is not None:
                stream[0, -1] = torch.from_numpy(point)
            return (stream, *given[1:])

        hook = model.transformer.h[1].register_forward_pre_hook(replace)
        with torch.no_grad():
            logits = model(torch.from_numpy(tokens)[None]).logits[0, -1].double()
        hook.remove()
        found.append(logits.log_softmax(-1))
    return torch.stack(found)


def test_crossings_and_effects_are_those_of_plain_forward_passes(
    done: Run, files: dict[str, Any]
) -> None:
    model = threshold_model()
    data = done.dataset("latents").sel(sample=PLANTED)
    rows = [
        json.loads(line)["input_ids"] for line in Path(files["prompts"]).read_text().splitlines()
    ]
    order = steppe.stream(0, "base_prompts").permutation(len(rows))
    _, feature, *_ = axes()
    for number in range(3):
        tokens = np.array(rows[order[number]])
        base = model.transformer.wte.weight[tokens[-1]].detach()
        norm = float((base - base.mean()).norm())
        at = float(data["crossing"].sel(sense="along")[number])
        length = 60 * 0.1
        steps = np.array([np.floor(at * 100), np.ceil(at * 100), 100 * length / norm]) / 100
        points = np.stack([(base + step * norm * feature).numpy() for step in steps])
        clean, *moved = kls(model, tokens, points)
        below, above = (float((clean.exp() * (clean - one)).sum()) for one in moved[:2])
        assert below <= files["level"] <= above
        entropies = [-float((one.exp() * one).sum()) for one in (clean, moved[2])]
        found = float(data["entropy"].sel(sense="along")[number])
        assert found == pytest.approx(entropies[1] - entropies[0], abs=1e-4)


def test_records_have_saebench_s_names_and_agree_with_each_other(done: Run) -> None:
    folder = done.path / "tables" / "saebench"
    assert sorted(path.name for path in folder.iterdir()) == [
        "blind_eval_results.json", "seeing_eval_results.json",
    ]  # fmt: skip
    record = json.loads((folder / "blind_eval_results.json").read_text())
    assert [one["index"] for one in record["eval_result_details"]] == [*range(D_SAE)]
    assert json.loads((folder / "seeing_eval_results.json").read_text())[
        "eval_result_details"] == []  # fmt: skip
    metrics = record["eval_result_metrics"]
    loss = metrics["model_performance_preservation"]
    share = (loss["ce_loss_with_ablation"] - loss["ce_loss_with_sae"]) / (
        loss["ce_loss_with_ablation"] - loss["ce_loss_without_sae"]
    )
    assert loss["ce_loss_score"] == pytest.approx(share, abs=1e-4)
    table = done.table("ranking").set_index("sae")
    assert metrics["sparsity"]["l0"] == pytest.approx(table.loc["blind", "l0"])
    assert record["sae_cfg_dict"]["hook_name"] == SITE


def test_a_record_that_was_removed_is_written_again(done: Run) -> None:
    path = done.path / "tables" / "saebench" / "seeing_eval_results.json"
    before = path.read_bytes()
    path.unlink()
    steppe.report(done.path)
    assert path.read_bytes() == before


def test_the_fit_is_that_of_the_saes_own_reconstructions(done: Run, files: dict[str, Any]) -> None:
    model = steppe.load_model(files["model"])
    sae = steppe.load_sae(f"{files['saes'][0]}/seeing", model=model)
    prompts = steppe.load_prompts(files["prompts"], model, length=10, count=120)
    chosen = prompts.tokens[steppe.stream(0, "base_prompts").permutation(120)[:12]]
    # Nothing but the embeddings comes before the second block.
    weights = threshold_model().transformer.wte.weight.detach()
    x = weights[torch.from_numpy(chosen[:, 1:])].flatten(0, 1)
    x = x - x.mean(dim=1, keepdim=True)
    latents = sae.encode(x)
    data = done.dataset("fit").sel(sae="seeing")
    found = {name: data[name].values.mean() for name in ("squared_error", "l0")}
    error = (x - sae.decode(latents, x)).square().sum(dim=1).mean()
    assert float(found["squared_error"]) == pytest.approx(float(error), rel=1e-4)
    assert float(found["l0"]) == pytest.approx(float((latents != 0).sum(dim=1).float().mean()))


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ({"latents_of": "other"}, "one of the run's SAEs: blind, seeing"),
        ({"latent_prompts": 121}, "at most as many as there are prompts"),
    ],
)
def test_what_is_not_there_is_refused(
    files: dict[str, Any], tmp_path: Path, asked: dict[str, Any], expected: str
) -> None:
    with pytest.raises(InputError, match=expected):
        steppe.run("sae_scores", **files | asked, out=tmp_path / "run")


def made(numbers: dict[str, tuple[float, float, float, float]]) -> pd.DataFrame:
    rows = [
        {"sae": name, "site": "here", "l0": l0, "x": one, "x_low": low, "x_high": high}
        for name, (l0, one, low, high) in numbers.items()
    ]
    return pd.DataFrame(rows)


@pytest.mark.parametrize("better", [1, -1])
def test_ranks_say_what_intervals_leave_open(better: int) -> None:
    nan = float("nan")
    numbers = {
        "middle": (20.0, 2.0, 1.5, 2.6), "last": (30.0, 0.0, -0.5, 0.5),
        "first": (40.0, 3.0, 2.5, 3.5), "none": (10.0, nan, nan, nan),
    }  # fmt: skip
    table = made(numbers)
    if better < 0:
        table[["x", "x_low", "x_high"]] *= -1
        table = table.rename(columns={"x_low": "x_high", "x_high": "x_low"})
    score = Score("x", "x", better, SCORES["l0"].make)
    found = ranked(table, score).set_index("sae")
    assert list(found.index) == ["first", "middle", "last", "none"]
    assert found["rank_low"].tolist()[:3] == [1, 1, 3]
    assert found["rank_high"].tolist()[:3] == [2, 2, 3]
    assert found.loc["none", ["rank", "rank_low", "rank_high"]].isna().all()
    # The last one has more latents than the middle one, and is worse.
    assert found["front"].to_dict() == {"first": True, "middle": True, "last": False, "none": False}


@pytest.mark.parametrize(("count", "place", "coverage"), [(6, 1, 0.96875), (12, 3, 0.9614)])
def test_the_median_s_ends_are_exact(count: int, place: int, coverage: float) -> None:
    drawn = np.random.default_rng(0).exponential(size=(20_000, count))
    middle, low, high = median_with_ends(drawn)
    np.testing.assert_array_equal(low, np.sort(drawn, axis=1)[:, place - 1])
    np.testing.assert_array_equal(high, np.sort(drawn, axis=1)[:, -place])
    covered = (low <= np.log(2)) & (np.log(2) <= high)
    assert covered.mean() == pytest.approx(coverage, abs=0.005)
    assert ((low <= middle) & (middle <= high)).all()


def test_too_few_numbers_have_no_ends_and_undefined_stays_so() -> None:
    _, low, _ = median_with_ends(np.ones((2, 5)))
    assert np.isnan(low).all()
    middle, low, high = median_with_ends(np.array([[1, 2, 3, 4, 5, np.inf], [np.nan] * 6]))
    assert (middle[0], low[0], high[0]) == (4, 1, np.inf)
    assert np.isnan([middle[1], low[1], high[1]]).all()


def test_pages_of_latents_are_those_that_sae_lens_lists() -> None:
    theirs = sae_lens_releases()
    if not theirs:
        pytest.skip("sae_lens is not installed")
    # steppe reads neither attention heads nor trusts the page of the embedding's SAE.
    left_out = {"gpt2-small-hook-z-kk", "pythia-70m-deduped-res-sm"}
    ours = {name: one for name, one in releases().items() if name not in left_out}
    found = {(name, i): one.neuronpedia for name, r in ours.items()
             for i, one in r.published.items()}  # fmt: skip
    listed = {(name, i): theirs[name].published.get(i, Published()).neuronpedia
              for name, i in found}  # fmt: skip
    assert found == listed
    assert found["gpt2-small-res-jb", "blocks.8.hook_resid_pre"] == "gpt2-small/8-res-jb"
