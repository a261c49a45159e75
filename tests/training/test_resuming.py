"""A run that is killed and started again ends with the weights of an undisturbed one."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from model_training.corpus import load_or_train_tokenizer, read_books, token_stream
from model_training.hub_folder import write_model_folder
from model_training.language_model import Shape, initial_weights
from model_training.model_run import ModelRun, RunSettings
from model_training.optimiser import OptimiserSettings
from model_training.sae_run import SaeRun, SaeSettings, SaeSpec
from model_training.sae_source import FrozenModel, WindowMix
from model_training.sampling import PromptPlan, sampled_batch_files

SHAPE = Shape(layers=2, width=16, heads=2, vocabulary=280, positions=8)
STEP = 2 * 4 * 8


class KilledError(Exception):
    """Stands for a kill."""


@pytest.fixture(scope="module")
def material(tmp_path_factory, text_files):
    folder = tmp_path_factory.mktemp("material")
    books = read_books(text_files["train"])
    tokenizer = load_or_train_tokenizer(folder / "tokenizer.json", books, SHAPE.vocabulary)
    stream = token_stream(folder / "tokens.npy", books, tokenizer)
    return tokenizer, {"train": stream, "held_out": stream}


def model_run(folder: Path, material, steps: int = 12, **changes) -> ModelRun:
    tokenizer, streams = material
    settings = {"microbatch": 4, "window": 8, "warm_up_tokens": 100, "evaluate_every": 5}
    settings |= {"held_out_windows": 8, "checkpoint_seconds": 0.0, "compiled": False} | changes
    return ModelRun(
        folder,
        RunSettings(steps * STEP, SHAPE, OptimiserSettings(), **settings),
        streams,
        tokenizer,
    )


def kill_after(monkeypatch, owner: type, steps: int) -> None:
    real = owner._one_step
    left = iter(range(steps))

    def step(self, *arguments):
        if next(left, None) is None:
            raise KilledError
        return real(self, *arguments)

    monkeypatch.setattr(owner, "_one_step", step)


@pytest.mark.parametrize("killed_after", [3, 9, 10, 11])
def test_model_run(tmp_path, material, monkeypatch, killed_after) -> None:
    whole = model_run(tmp_path / "whole", material)
    whole.train()
    with monkeypatch.context() as patched:
        kill_after(patched, ModelRun, killed_after)
        with pytest.raises(KilledError):
            model_run(tmp_path / "killed", material).train()
    resumed = model_run(tmp_path / "killed", material)
    assert resumed.step == killed_after
    resumed.train()
    for name, weight in whole.weights.items():
        torch.testing.assert_close(resumed.weights[name], weight, rtol=0, atol=0)
    assert (tmp_path / "killed" / "model" / "model.safetensors").exists()


def test_a_resumed_run_tells_what_dropout_it_had(tmp_path, material) -> None:
    model_run(tmp_path, material, steps=8, dropout=0.0).train()
    longer = model_run(tmp_path, material, steps=12, dropout=0.1)
    assert longer.tokens == 6 * STEP
    longer.train()
    assert longer.dropout_history == [(0, 0.0), (6 * STEP, 0.1)]
    reopened = model_run(tmp_path, material, steps=12, dropout=0.3)
    reopened.train()
    assert reopened.dropout_history == longer.dropout_history


def test_a_run_ended_by_decay_now_is_not_trained_on(tmp_path, material) -> None:
    run = model_run(tmp_path, material, steps=100)
    (tmp_path / "DECAY_NOW").write_text(str(3 * STEP))
    run.train()
    assert run.tokens < 20 * STEP
    again = model_run(tmp_path, material, steps=100)
    assert again.tokens == again.plan.end == run.tokens


def test_a_model_run_refuses_other_settings(tmp_path, material) -> None:
    model_run(tmp_path, material, steps=4).train()
    with pytest.raises(ValueError, match=r"other settings \(seed: 0 -> 1\)"):
        model_run(tmp_path, material, steps=8, seed=1)


def test_longer_run_goes_on_from_before_the_decay(tmp_path, material) -> None:
    model_run(tmp_path / "branched", material, steps=8).train()
    longer = model_run(tmp_path / "branched", material, steps=12, decay_share=0.5)
    assert longer.step == 6
    longer.train()
    straight = model_run(tmp_path / "straight", material, steps=12, decay_share=0.5)
    straight.train()
    for name, weight in straight.weights.items():
        torch.testing.assert_close(longer.weights[name], weight, rtol=0, atol=0)


def test_finished_run_is_left_alone(tmp_path, material) -> None:
    model_run(tmp_path, material).train()
    again = model_run(tmp_path, material)
    assert again.tokens == again.plan.end


def test_decay_can_be_asked_for_at_any_moment(tmp_path, material) -> None:
    (tmp_path / "DECAY_NOW").write_text(str(3 * STEP))
    run = model_run(tmp_path, material, steps=1000)
    run.train()
    assert run.step == 4
    assert not (tmp_path / "DECAY_NOW").exists()


def test_a_kill_at_decay_now_does_not_forget_it(tmp_path, material, monkeypatch) -> None:
    (tmp_path / "DECAY_NOW").write_text(str(3 * STEP))
    real = ModelRun._save_to

    def kill_before_the_decay_state(self, name: str) -> None:
        if name == "decay":
            raise KilledError
        real(self, name)

    with monkeypatch.context() as patched:
        patched.setattr(ModelRun, "_save_to", kill_before_the_decay_state)
        with pytest.raises(KilledError):
            model_run(tmp_path, material, steps=1000).train()
    assert (tmp_path / "DECAY_NOW").exists()
    resumed = model_run(tmp_path, material, steps=1000)
    resumed.train()
    assert resumed.step == 5
    assert not (tmp_path / "DECAY_NOW").exists()


def test_a_decay_now_that_a_kill_left_behind_goes(tmp_path, material, monkeypatch) -> None:
    request = tmp_path / "DECAY_NOW"
    request.write_text(str(3 * STEP))

    def kill(self: Path) -> None:
        raise KilledError

    with monkeypatch.context() as patched:
        patched.setattr(Path, "unlink", kill)
        with pytest.raises(KilledError):
            model_run(tmp_path, material, steps=1000).train()
    resumed = model_run(tmp_path, material, steps=1000)
    resumed.train()
    assert resumed.step == 4
    assert not request.exists()


@pytest.mark.parametrize("objective", ["local", "e2e_ds"])
def test_sae_run(tmp_path, material, monkeypatch, objective) -> None:
    tokenizer, streams = material
    write_model_folder(tmp_path / "model", initial_weights(SHAPE, 0), SHAPE, tokenizer)
    model = FrozenModel.load(tmp_path / "model", "cpu", torch.float32)
    settings = SaeSettings(320, (8,), batch_tokens=32, checkpoint_seconds=0.0)

    def run(folder: str) -> SaeRun:
        (tmp_path / folder).mkdir(exist_ok=True)
        mix = WindowMix.of(streams["train"], (8,), 32, 0)
        specs = [SaeSpec("some-sae", 1, 24, 3.0, objective)]
        return SaeRun(tmp_path / folder, model, mix, specs, settings)

    whole = run("whole")
    whole.train()
    with monkeypatch.context() as patched:
        kill_after(patched, SaeRun, 4)
        with pytest.raises(KilledError):
            run("killed").train()
    resumed = run("killed")
    assert resumed.step == 4
    resumed.train()
    for name, tensor in whole.trainers[0].state().items():
        np.testing.assert_array_equal(resumed.trainers[0].state()[name], tensor)


def test_sae_state_of_other_settings_is_refused(tmp_path, material) -> None:
    tokenizer, streams = material
    write_model_folder(tmp_path / "model", initial_weights(SHAPE, 0), SHAPE, tokenizer)
    model = FrozenModel.load(tmp_path / "model", "cpu", torch.float32)
    mix = WindowMix.of(streams["train"], (8,), 32, 0)

    def run(rate: float, model: FrozenModel = model) -> SaeRun:
        settings = SaeSettings(64, (8,), batch_tokens=32, rate=rate)
        return SaeRun(tmp_path, model, mix, [SaeSpec("some-sae", 1, 24, 3.0)], settings)

    run(1e-3).train()
    with pytest.raises(ValueError, match="delete the file to start again"):
        run(2e-3)
    write_model_folder(tmp_path / "model", initial_weights(SHAPE, 1), SHAPE, tokenizer)
    trained_on = FrozenModel.load(tmp_path / "model", "cpu", torch.float32)
    with pytest.raises(ValueError, match="delete the file to start again"):
        run(1e-3, trained_on)


def test_texts_of_another_model_are_not_taken_for_this_ones(tmp_path, material) -> None:
    tokenizer, _ = material
    plan = PromptPlan(windows=4, window=3, sequences=2, length=8, batch=4, seed=0)
    write_model_folder(tmp_path / "model", initial_weights(SHAPE, 0), SHAPE, tokenizer)
    first = sampled_batch_files(tmp_path / "model", tmp_path, plan, "cpu")
    assert sampled_batch_files(tmp_path / "model", tmp_path, plan, "cpu") == first
    assert len((tmp_path / "prompts_log.jsonl").read_text().splitlines()) == len(first)
    write_model_folder(tmp_path / "model", initial_weights(SHAPE, 1), SHAPE, tokenizer)
    with pytest.raises(ValueError, match="to sample anew"):
        sampled_batch_files(tmp_path / "model", tmp_path, plan, "cpu")
