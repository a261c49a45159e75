from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from tests.propagation.conftest import FAMILIES, make_model

from steppe.core.errors import InputError
from steppe.core.sites import Site
from steppe.models import load_model
from steppe.propagation import Suffix, build_prefix
from steppe.propagation.memory import Workload, expected_memory
from steppe.propagation.packing import _packed

FEW = ["gpt2", "gpt_neox", "llama", "gemma2", "opt", "falcon", "falcon_alibi", "bloom", "mpt"]
SITE = Site(1, "resid_pre")


def in_use(hf_model: Any) -> int:
    tensors = {id(one): one.nbytes for one in [*hf_model.parameters(), *hf_model.buffers()]}
    return sum(tensors.values())


@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "float64"])
@pytest.mark.parametrize("family", FEW)
def test_weights_and_prefixes_are_known_from_the_configuration(family: str, dtype: Any) -> None:
    model = load_model(make_model(*FAMILIES[family]), dtype=dtype, engine="general")
    workload = Workload(SITE, 12, prompts=3, dtype=getattr(torch, dtype))
    found = expected_memory(model.hf_model.config, workload)
    assert found.weights == pytest.approx(in_use(model.hf_model), rel=0.01)
    prefix = build_prefix(model, torch.arange(12), SITE)
    assert prefix.cache is not None
    kept = [layer for layer in prefix.cache.layers if layer.keys is not None]
    expected = 3 * sum(layer.keys.nbytes + layer.values.nbytes for layer in kept)
    sliding = family == "gemma2"
    assert found.prefixes == expected or (sliding and found.prefixes > expected)


@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "float16", "float64"])
@pytest.mark.parametrize("family", ["gpt2", "llama", "gemma2", "falcon"])
def test_matrices_kept_a_second_time_are_counted(family: str, dtype: str) -> None:
    model = load_model(make_model(*FAMILIES[family]), dtype=dtype, engine="fast")
    prefix = build_prefix(model, torch.arange(12), SITE)
    with Suffix(model, SITE, read=[], logits=True) as suffix:
        suffix(prefix, prefix.base[None])
    kept = [_packed[module] for module in model.hf_model.modules() if module in _packed]
    workload = Workload(SITE, 12, dtype=getattr(torch, dtype))
    found = expected_memory(model.hf_model.config, workload)
    # Tied to the embedding or not, the unembedding stays float32 in half precision.
    assert found.packed == sum(one.matrix.numel() * one.matrix.element_size() for one in kept)
    assert expected_memory(model.hf_model.config, replace(workload, on_cpu=False)).packed == 0


def test_seven_billion_parameters_in_half_precision() -> None:
    config = transformers.LlamaConfig()
    found = expected_memory(config, Workload(Site(16, "resid_pre"), 64, dtype=torch.bfloat16))
    matrices = 32 * (4 * 4096 * 4096 + 3 * 4096 * 11008)
    rest = 2 * 32000 * 4096 + (2 * 32 + 1) * 4096
    assert found.weights == pytest.approx(2 * matrices + 4 * rest, rel=1e-4)
    assert found.prefixes == 20 * 16 * 2 * 4096 * 63 * 4
    assert 0 < found.batch <= 2**28
    assert found.total < 17e9


def test_a_site_that_is_not_there_is_refused() -> None:
    config = transformers.AutoConfig.for_model("gpt2", n_layer=2)
    with pytest.raises(InputError, match="layer 7"):
        expected_memory(config, Workload(Site(7, "resid_pre"), 12))


_MEASURE = """
import sys, threading, time, torch
from steppe.core.sites import Site
from steppe.propagation import Suffix, build_prefix, require_self_check
from steppe.metrics import measure
from steppe.models import load_model

def held():
    rows = dict(line.split(":") for line in open("/proc/self/status") if "Rss" in line)
    return int(rows["RssAnon"].split()[0]) * 1024

def model():
    model = load_model(sys.argv[1], device="cpu", dtype=sys.argv[2])
    for parameter in model.hf_model.parameters():
        parameter.data = parameter.data.clone()  # out of the file's mapping
    return model

def run(model):
    tokens = torch.arange(20 * 12).reshape(20, 12)
    site = Site(2, "resid_pre")
    prefixes = [build_prefix(model, row, site) for row in tokens]
    with Suffix(model, site, read=[], logits=True) as suffix:
        for prefix in prefixes:
            suffix(prefix, prefix.base.expand(101, -1))

small = load_model("demo", device="cpu")
run(small)
before, peak, done = held(), 0, False

def watch():
    global peak
    while not done:
        peak = max(peak, held())
        time.sleep(0.002)

model = model()
thread = threading.Thread(target=watch)
thread.start()
run(model)
done = True
thread.join()
print(peak - before)
"""


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="no such file here")
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_what_is_stated_is_what_is_used(tmp_path: Path, dtype: str) -> None:
    config = transformers.LlamaConfig(
        hidden_size=768, intermediate_size=2048, num_hidden_layers=8, num_attention_heads=12,
        vocab_size=8192, max_position_embeddings=64, bos_token_id=0, eos_token_id=0,
    )  # fmt: skip
    transformers.LlamaForCausalLM(config).save_pretrained(tmp_path)
    command = [sys.executable, "-c", _MEASURE, str(tmp_path), dtype]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    workload = Workload(Site(2, "resid_pre"), 12, dtype=getattr(torch, dtype))
    stated = expected_memory(config, workload).total
    assert stated == pytest.approx(int(done.stdout.split()[-1]), rel=0.1)
