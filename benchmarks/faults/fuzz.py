"""Configs and SAE folders of random faults: each is answered in words, and nothing is touched."""

from __future__ import annotations

import contextlib
import copy
import io
import json
import pickle
import shutil
import signal
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import torch
import yaml
from safetensors.torch import load_file, save_file

from faults.tiny import Tiny
from steppe.cli.main import main
from steppe.core.errors import SteppeError
from steppe.sae import load_sae

HANG_SECONDS = 30
WORDS = ["study", "model", "sae", "prompts", "samples", "reading", "seed", "device", "dtype",
         "coordinates", "site", "read", "prompt_length", "max_prompts", "moments_samples",
         "step_size", "threshold", "kinds", "only", "bootstrap"]  # fmt: skip
VALUES: list[Any] = [
    None, True, -1, 0, 1, 10**30, 1.5, float("nan"), float("inf"), "", "demo", "\x00", "../..",
    "<script>alert(1)</script>", "\x1b[2J\u202e", "x" * 100_000, "~nobody/x", "/", "a" * 300,
    [], {}, [[]], {"a": {"b": [1]}}, ["real"] * 50, [None], ["real", 3], "2026-11-20", b"\xff\x00",
]  # fmt: skip
BOMB = "a: &a [x,x,x,x,x,x,x,x,x]\n" + "".join(
    f"{chr(98 + i)}: &{chr(98 + i)} [{','.join(['*' + chr(97 + i)] * 9)}]\n" for i in range(8)
)


class Hang(BaseException):
    """Something took too long."""


def fuzz_configs(tiny: Tiny, work: Path, count: int) -> dict[str, Any]:
    """Give ``count`` random YAML files to `steppe run`."""
    generator = np.random.default_rng(3)
    place = work / "fuzz"
    place.mkdir()
    before = _listing(work)
    tally: Counter[str] = Counter()
    faults: list[str] = []
    with contextlib.chdir(place):
        for _ in range(count):
            content = _config(tiny, generator)
            (work / "study.yaml").write_bytes(content)
            answer, error = _answer(
                ["run", str(work / "study.yaml"), "--out", str(work / "fuzzed")]
            )
            if answer == "hang" and (work / "fuzzed" / "config.yaml").exists():
                answer = "ran, stopped"  # a whole study: nothing was wrong with it
            tally[answer] += 1
            if answer not in {"refused", "ran", "ran, stopped"} or "Traceback" in error:
                faults.append(f"{answer}: {error[-300:]} from {content[:600]!r}")
            shutil.rmtree(work / "fuzzed", ignore_errors=True)
    (work / "study.yaml").unlink()
    return {
        "configs": count,
        "answers": dict(tally),
        "faults": faults[:5],
        "written_elsewhere": sorted(_listing(work) - before),
    }


def _answer(words: list[str]) -> tuple[str, str]:
    def hang(*_: object) -> None:
        raise Hang

    output, error = io.StringIO(), io.StringIO()
    signal.signal(signal.SIGALRM, hang)
    signal.alarm(HANG_SECONDS)
    try:
        with contextlib.redirect_stdout(output), contextlib.redirect_stderr(error):
            main(words)
    except SystemExit as end:
        return (
            "ran" if not end.code else "refused" if end.code == 2 else f"exit {end.code}"
        ), error.getvalue()
    except Hang:
        return "hang", ""
    except BaseException as fault:
        return "traceback", repr(fault)
    finally:
        signal.alarm(0)
    return "ran", error.getvalue()


def _config(tiny: Tiny, generator: np.random.Generator) -> bytes:
    """A study's file with one to three faults."""
    study: dict[Any, Any] = {
        "study": "giglemiani2024", "model": str(tiny.model), "sae": str(tiny.sae),
        "prompts": str(tiny.prompts), "samples": 2, "only": ["table_1"], "bootstrap": 100,
        "moments_samples": 100, "max_prompts": 100,
    }  # fmt: skip
    for _ in range(int(generator.integers(1, 4))):
        key = WORDS[int(generator.integers(len(WORDS)))]
        value = VALUES[int(generator.integers(len(VALUES)))]
        way = int(generator.integers(6))
        if way == 0:
            study.pop(key, None)
        elif way == 1:
            at = int(generator.integers(len(key)))
            study[key[:at] + key[at + 1 :]] = value
        elif way == 2:
            study[(1, None, 2.5, "")[int(generator.integers(4))]] = value
        else:
            study[key] = value
    content = yaml.safe_dump(study, allow_unicode=True).encode()
    way = int(generator.integers(12))
    if way == 0:
        return content[: int(generator.integers(len(content)))]
    if way == 1:
        return generator.bytes(int(generator.integers(400)))
    if way == 2:
        return (
            BOMB.encode()
            + f"study: giglemiani2024\nkinds: *{'bcdefghi'[int(generator.integers(8))]}\n".encode()
        )
    if way == 3:
        return b"study: " + b"[" * int(generator.integers(1, 5000))
    if way == 4:
        return content + b"seed: !!python/object/apply:os.system ['touch owned']\n"
    return content


def fuzz_saes(tiny: Tiny, work: Path, count: int) -> dict[str, Any]:
    """Read ``count`` SAE folders with one fault or more."""
    generator = np.random.default_rng(4)
    sound = load_file(tiny.sae / "sae_weights.safetensors")
    settings = json.loads((tiny.sae / "cfg.json").read_text())
    folder, tally, faults = work / "fuzzed_sae", Counter[str](), list[str]()
    before = _listing(work)

    def hang(*_: object) -> None:
        raise Hang

    signal.signal(signal.SIGALRM, hang)
    for _ in range(count):
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(tiny.sae, folder)
        what = [_spoil(folder, settings, sound, generator) for _ in range(generator.integers(1, 3))]
        signal.alarm(HANG_SECONDS)
        try:
            load_sae(folder)
            tally["read"] += 1
        except SteppeError:
            tally["refused"] += 1
        except BaseException as fault:
            tally["traceback"] += 1
            faults.append(f"{'; '.join(what)}: {fault!r:.200}")
        finally:
            signal.alarm(0)
    shutil.rmtree(folder)
    return {
        "sae_folders": count,
        "answers": dict(tally),
        "faults": faults[:5],
        "written_elsewhere": sorted(_listing(work) - before),
    }


def _spoil(
    folder: Path,
    settings: dict[str, Any],
    sound: dict[str, torch.Tensor],
    generator: np.random.Generator,
) -> str:
    """One fault in one file; what it is."""
    name = ("cfg.json", "sae_weights.safetensors", "sparsity.safetensors")[
        int(generator.choice(3, p=[0.5, 0.4, 0.1]))
    ]
    path = folder / name
    way = int(generator.integers(8))
    if not path.is_file():
        return f"{name} gone"
    content = path.read_bytes()
    if way == 0:
        path.write_bytes(content[: int(generator.integers(len(content) + 1))])
    elif way == 1:
        spoilt = bytearray(content)
        for _ in range(int(generator.integers(1, 4))):
            spoilt[int(generator.integers(min(len(spoilt), 400)))] ^= 1 << int(
                generator.integers(8)
            )
        path.write_bytes(spoilt)
    elif way == 2:
        path.write_bytes(pickle.dumps(Owned()))
    elif way == 3:
        path.unlink()
        if generator.integers(2):
            path.mkdir()
    elif name == "cfg.json":
        _spoil_settings(path, settings, generator)
    else:
        _spoil_tensors(path, sound, generator)
    return f"{name}, way {way}"


class Owned:
    """Unpickling this would leave a file."""

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (Path("owned"),)


def _spoil_settings(path: Path, settings: dict[str, Any], generator: np.random.Generator) -> None:
    spoilt = json.loads(json.dumps(settings))
    more = ["hook_point", "hook_head_index", "activation_fn", "activation_fn_kwargs", "k",
            "sae_lens_version", "finetuning_scaling_factor", "activation_fn_str"]  # fmt: skip
    for _ in range(int(generator.integers(1, 3))):
        key = [*spoilt, *more][int(generator.integers(len(spoilt) + len(more)))]
        value = [v for v in VALUES if not isinstance(v, bytes)][
            int(generator.integers(len(VALUES) - 1))
        ]
        value = copy.deepcopy(value)
        if generator.integers(4):
            spoilt[key] = value
        else:
            spoilt.pop(key, None)
        if isinstance(spoilt.get("metadata"), dict) and generator.integers(2):
            spoilt["metadata"][key] = copy.deepcopy(value)
    path.write_text(json.dumps(spoilt) if generator.integers(20) else "[" * 100_000)


def _spoil_tensors(
    path: Path, sound: dict[str, torch.Tensor], generator: np.random.Generator
) -> None:
    spoilt = {name: tensor.clone() for name, tensor in sound.items()}
    name = list(spoilt)[int(generator.integers(len(spoilt)))]
    way = int(generator.integers(6))
    if way == 0:
        del spoilt[name]
    elif way == 1:
        spoilt[name] = spoilt[name].flatten()[:-1].clone()
    elif way == 2:
        spoilt[name].view(-1)[0] = (float("nan"), float("inf"))[int(generator.integers(2))]
    elif way == 3:
        spoilt[name] = spoilt[name].to(torch.int32)
    elif way == 4:
        spoilt[f"{name}_2"] = spoilt[name].clone()
    else:
        spoilt[name] = torch.zeros(0)
    save_file(spoilt, path)


def _listing(place: Path) -> set[str]:
    return {path.relative_to(place).as_posix() for path in place.rglob("*")}
