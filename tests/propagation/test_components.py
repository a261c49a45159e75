"""Sites inside of a block, against hooks on each family's own modules."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch
from tests.propagation.conftest import FAMILIES, make_model
from torch import Tensor

from steppe.core.errors import InputError
from steppe.core.sites import Site
from steppe.models import Model, load_model
from steppe.propagation import (
    GradientSuffix,
    Suffix,
    build_prefix,
    read_activations,
    read_residuals,
    self_check,
)

LAST = "blocks.last.hook_resid_post"
TOKENS = (torch.arange(2 * 9).reshape(2, 9) * 5 + 2) % 97
# By family: the modules whose outputs attention and the MLP add, the module that is entered by the
# stream between them (none: they stand side by side), and the matrix that reads the neurons.
MODULES: dict[str, tuple[str, str, str | None, str | None]] = {
    "gpt2": ("attn", "mlp", "ln_2", "mlp.c_proj"),
    "gpt_neox": ("attention", "mlp", None, "mlp.dense_4h_to_h"),
    "gpt_neo": ("attn", "mlp", "ln_2", "mlp.c_proj"),
    "gptj": ("attn", "mlp", None, "mlp.fc_out"),
    "llama": ("self_attn", "mlp", "post_attention_layernorm", "mlp.down_proj"),
    "mistral_sliding": ("self_attn", "mlp", "post_attention_layernorm", "mlp.down_proj"),
    "qwen3": ("self_attn", "mlp", "post_attention_layernorm", "mlp.down_proj"),
    "gemma": ("self_attn", "mlp", "post_attention_layernorm", "mlp.down_proj"),
    "gemma2": (
        "post_attention_layernorm",
        "post_feedforward_layernorm",
        "pre_feedforward_layernorm",
        "mlp.down_proj",
    ),
    "gemma3": (
        "post_attention_layernorm",
        "post_feedforward_layernorm",
        "pre_feedforward_layernorm",
        "mlp.down_proj",
    ),
    "olmo2": ("post_attention_layernorm", "post_feedforward_layernorm", "mlp", "mlp.down_proj"),
    "opt": ("self_attn", "fc2", "final_layer_norm", "fc2"),
    "phi3": ("self_attn", "mlp", "post_attention_layernorm", "mlp.down_proj"),
    "falcon": ("self_attention", "mlp", None, "mlp.dense_4h_to_h"),
    "falcon_alibi": ("self_attention", "mlp", None, "mlp.dense_4h_to_h"),
    # Their modules add the stream themselves, so that what they add is looked for inside of them.
    "bloom": (
        "self_attention.dense",
        "mlp.dense_4h_to_h",
        "post_attention_layernorm",
        "mlp.dense_4h_to_h",
    ),
    "mpt": ("attn.out_proj", "ffn.down_proj", "norm_2", "ffn.down_proj"),
    "cohere": ("self_attn", "mlp", None, "mlp.down_proj"),
    # Multiplies by 0.5 before it adds.
    "granite": ("self_attn", "mlp", "post_attention_layernorm", "mlp.down_proj"),
    "stablelm": ("self_attn", "mlp", "post_attention_layernorm", "mlp.down_proj"),
    "phi": ("self_attn", "mlp", None, "mlp.fc2"),
    "codegen": ("attn", "mlp", None, "mlp.fc_out"),
    # Experts have no common neurons.
    "mixtral": ("self_attn", "mlp", "post_attention_layernorm", None),
}
SEQUENTIAL = [family for family, modules in MODULES.items() if modules[2]]
SIDE_BY_SIDE = [family for family, modules in MODULES.items() if not modules[2]]
SCALES = {"granite": 0.5}


def first(value: Any) -> Tensor:
    tensor: Tensor = value[0] if isinstance(value, tuple) else value
    return tensor


def hooked(model: Model, family: str, layer: int, run: Callable[[], Any]) -> dict[str, Tensor]:
    """A block's parts in some forward pass, ``(prompt, position, width)`` in coordinates."""
    attention, mlp, middle, neurons = MODULES[family]
    block = model.anatomy.blocks[layer]
    seen: dict[str, Tensor] = {}

    def leaving(point: str) -> Any:
        def hook(_module: Any, _args: Any, output: Any) -> None:
            seen[point] = first(output).clone() * SCALES.get(family, 1.0)

        return hook

    def entering(point: str) -> Any:
        def hook(_module: Any, args: Any, kwargs: Any) -> None:
            seen[point] = first(args or tuple(kwargs.values())).clone()

        return hook

    handles = [
        block.get_submodule(attention).register_forward_hook(leaving("attn_out")),
        block.get_submodule(mlp).register_forward_hook(leaving("mlp_out")),
    ]
    for point, name in (("resid_mid", middle), ("mlp_post", neurons)):
        if name is not None:
            module = block.get_submodule(name)
            hook = entering(point)
            handles.append(module.register_forward_pre_hook(hook, with_kwargs=True))
    try:
        with torch.no_grad():
            run()
    finally:
        for handle in handles:
            handle.remove()
    return {
        f"{point}:{layer}": value if point == "mlp_post" else model.to_coordinates(value)
        for point, value in seen.items()
    }


def assert_equal(found: Tensor, expected: Tensor) -> None:
    expected = expected.reshape(found.shape)
    assert float((found - expected).abs().max() / expected.abs().max()) < 1e-5


def named(values: dict[str, Tensor]) -> dict[str, Tensor]:
    return {Site.parse(name).name: value for name, value in values.items()}


@pytest.mark.parametrize("family", MODULES)
def test_parts_are_those_of_the_familys_own_modules(model_of: Any, family: str) -> None:
    model = model_of(family)
    for layer in (0, model.n_layers - 1):
        expected = hooked(model, family, layer, lambda: model.hf_model(TOKENS, use_cache=False))
        sites = [Site.parse(name, "all") for name in expected]
        found = read_activations(model, TOKENS, sites)
        assert set(found) == set(named(expected))
        for name, value in named(expected).items():
            assert_equal(found[name], value.reshape(*TOKENS.shape, -1))
        ends = [Site.parse(f"resid_{end}:{layer}", "all") for end in ("pre", "post")]
        before, after = read_activations(model, TOKENS, ends).values()
        parts = [found[Site.parse(f"{part}_out:{layer}").name] for part in ("attn", "mlp")]
        torch.testing.assert_close(before + sum(parts), after, rtol=1e-4, atol=1e-4)


def test_several_sites_are_read_in_one_pass(gpt2: Model) -> None:
    names = ["resid_pre:0", "attn_out:1", "mlp_post:1", "blocks.0.hook_resid_mid", "resid_post:2"]
    sites = [Site.parse(name) for name in [*names, "ln_final.hook_normalized"]]
    sites.append(Site.parse("resid_post:0", 3))
    alone = {site.name: read_residuals(gpt2, TOKENS, site) for site in sites}
    passes = []
    handle = gpt2.anatomy.blocks[0].register_forward_hook(lambda *_: passes.append(1))
    found = read_activations(gpt2, TOKENS, sites)
    handle.remove()
    assert len(passes) == 1
    for name, value in alone.items():
        torch.testing.assert_close(found[name], value, rtol=1e-5, atol=1e-5)
    assert found["blocks.1.mlp.hook_post"].shape == (2, 128)


def test_several_are_read_at_once_from_the_first_time_on() -> None:
    model = load_model(make_model(*FAMILIES["llama"]))
    found = read_activations(model, TOKENS, ["resid_pre:1", "attn_out:1", "mlp_out:2"])
    for name, value in found.items():
        assert_equal(value, read_residuals(model, TOKENS, name))


def test_sites_of_one_name_cannot_differ_in_position(gpt2: Model) -> None:
    with pytest.raises(InputError, match="position 3"):
        read_activations(gpt2, TOKENS, [Site.parse("attn_out:1", 3), Site.parse("attn_out:1")])
    with pytest.raises(InputError, match="none"):
        read_activations(gpt2, TOKENS, [])


@pytest.mark.parametrize("engine", ["fast", "general", "full"])
@pytest.mark.parametrize("family", MODULES)
def test_parts_after_a_move_are_read_by_every_engine(
    model_of: Any, family: str, engine: Any
) -> None:
    model = replace(model_of(family), engine=engine)
    prefix = build_prefix(model, TOKENS[0], "resid_pre:1")
    points = prefix.base + torch.linspace(0, 2, 4)[:, None] * torch.arange(32.0).cos()
    rows = TOKENS[:1].expand(4, -1)

    def moved() -> None:
        def place(_module: Any, args: Any, kwargs: Any) -> Any:
            stream = (args[0] if args else kwargs["hidden_states"]).clone()
            stream[1:, -1] = points[1:]
            named = {**kwargs, "hidden_states": stream}
            return ((stream, *args[1:]), kwargs) if args else (args, named)

        block = model.anatomy.blocks[1]
        handle = block.register_forward_pre_hook(place, with_kwargs=True)
        model.hf_model(rows, use_cache=False)
        handle.remove()

    expected: dict[str, Tensor] = {}
    for layer in (1, 2):
        parts = named(hooked(model, family, layer, moved))
        expected |= {name: part.reshape(4, 9, -1)[:, -1] for name, part in parts.items()}
    with Suffix(model, "resid_pre:1", read=[*expected]) as suffix:
        found = suffix(prefix, points).residuals
    for name, value in expected.items():
        assert_equal(found[name], value)


@pytest.mark.parametrize("position", [-1, 4, "all"])
@pytest.mark.parametrize("engine", ["fast", "general", "full"])
@pytest.mark.parametrize("family", SEQUENTIAL)
def test_moving_between_attention_and_mlp(
    model_of: Any, family: str, engine: Any, position: Any
) -> None:
    model = replace(model_of(family), engine=engine)
    site = Site.parse("resid_mid:1", position)
    prefix = build_prefix(model, TOKENS[0], site)
    assert_equal(prefix.base, read_residuals(model, TOKENS[:1], site)[0])
    steps = torch.linspace(0, 2, 4).reshape(4, *[1] * prefix.base.ndim)
    points = prefix.base + steps * torch.arange(prefix.base.numel()).cos().view_as(prefix.base)
    with Suffix(model, site, read=["mlp_out:1", "resid_mid:1", LAST], logits=True) as suffix:
        found = suffix(prefix, points)
    where = slice(None) if position == "all" else position

    # What attention adds is changed so that, with the stream before, it makes up the points.
    entered: list[Tensor] = []

    def enter(_module: Any, args: Any, kwargs: Any) -> None:
        entered.append(args[0] if args else kwargs["hidden_states"])

    def add(_module: Any, _args: Any, output: Any) -> Any:
        own = first(output)
        clean = entered[0].reshape(own.shape) + SCALES.get(family, 1.0) * own
        shift = torch.zeros_like(own)
        shift[1:, where] = points[1:] - model.to_coordinates(clean)[1:, where]
        changed = own + shift / SCALES.get(family, 1.0)
        return (changed, *output[1:]) if isinstance(output, tuple) else changed

    block = model.anatomy.blocks[1]
    outputs: list[Any] = []
    parts: dict[str, Tensor] = {}
    handles = [
        block.register_forward_pre_hook(enter, with_kwargs=True),
        block.get_submodule(MODULES[family][0]).register_forward_hook(add),
    ]
    rows = TOKENS[:1].expand(4, -1)
    parts = named(hooked(model, family, 1, lambda: outputs.append(model.hf_model(rows))))
    entered.clear()
    streams: list[Tensor] = []
    last = model.anatomy.blocks[-1]
    handles.append(last.register_forward_hook(lambda *a: streams.append(first(a[2]))))
    with torch.no_grad():
        logits = model.hf_model(rows, use_cache=False).logits
    for handle in handles:
        handle.remove()
    read = slice(None) if position == "all" else -1
    assert found.logits is not None
    assert_equal(found.logits, logits[:, read])
    assert_equal(found.residuals[LAST], model.to_coordinates(streams[-1])[:, read])
    expected = parts["blocks.1.hook_mlp_out"].reshape(4, 9, -1)[:, read]
    assert_equal(found.residuals["blocks.1.hook_mlp_out"], expected)
    if position == -1:
        itself = found.residuals["blocks.1.hook_resid_mid"]
        assert_equal(itself, model.to_coordinates(points))


@pytest.mark.parametrize("family", ["gpt2", "gemma2", "bloom", "granite"])
def test_the_self_check_covers_it(model_of: Any, family: str) -> None:
    check = self_check(model_of(family), "resid_mid:1", 21)
    assert check.passed
    assert check.max_relative_error < 1e-5
    assert any("hook_resid_mid" in name for name in check.details)


def test_its_gradient_is_that_of_the_suffix(gpt2: Model) -> None:
    prefix = build_prefix(gpt2, TOKENS[0], "resid_mid:1")
    points = prefix.base + torch.linspace(0, 2, 3)[:, None] * torch.arange(32.0).cos()
    with Suffix(gpt2, "resid_mid:1", read=[], logits=True) as suffix:
        expected = suffix(prefix, points).logits
    found = GradientSuffix(gpt2, prefix).logits(points).detach()
    assert expected is not None
    assert_equal(found, expected)


def test_half_precision_reads_parts(gpt2: Model) -> None:
    half = load_model(gpt2.hf_model, dtype="bfloat16")
    sites = ["attn_out:1", "resid_mid:1", "mlp_post:1", "mlp_out:1"]
    found = read_activations(half, TOKENS, sites)
    for name, expected in read_activations(gpt2, TOKENS, sites).items():
        assert float((found[name] - expected).abs().max() / expected.abs().max()) < 0.05


@pytest.mark.parametrize("family", SIDE_BY_SIDE)
def test_no_middle_where_attention_and_mlp_stand_side_by_side(model_of: Any, family: str) -> None:
    model = model_of(family)
    for use in (read_residuals, build_prefix):
        tokens = TOKENS if use is read_residuals else TOKENS[0]
        with pytest.raises(InputError, match=rf"resid_mid:1(.|\n)*{model.anatomy.family}"):
            use(model, tokens, "resid_mid:1")
    with pytest.raises(InputError, match="side by side"):
        Suffix(model, "resid_pre:1", read=["resid_mid:1"])


def test_what_a_block_lacks_is_refused_by_name(model_of: Any) -> None:
    with pytest.raises(InputError, match=r"mlp_post:1(.|\n)*mixtral"):
        read_residuals(model_of("mixtral"), TOKENS, "mlp_post:1")
    with pytest.raises(InputError, match=r"family 'opt'(.|\n)*with two parts added"):
        read_residuals(model_of("opt_post_norm"), TOKENS, "attn_out:1")


def test_sites_that_can_only_be_read(gpt2: Model) -> None:
    for name in ("attn_out:1", "mlp_out:1", "mlp_post:1", "ln_final.hook_normalized"):
        with pytest.raises(InputError, match="can only be read"):
            build_prefix(gpt2, TOKENS[0], name)
    with pytest.raises(InputError, match=r"before blocks\.1\.hook_resid_mid"):
        Suffix(gpt2, "resid_mid:1", read=["attn_out:1"])


def test_a_users_hook_on_attention_is_seen(gpt2: Model) -> None:
    clean = read_residuals(gpt2, TOKENS, "attn_out:1")
    attention = gpt2.anatomy.blocks[1].attn
    handle = attention.register_forward_hook(lambda *a: (a[2][0] * 2.0, *a[2][1:]))
    try:
        assert_equal(read_residuals(gpt2, TOKENS, "attn_out:1"), 2 * clean)
    finally:
        handle.remove()


def test_a_users_hook_on_a_block_does_not_hide_its_parts() -> None:
    model = load_model(make_model(*FAMILIES["llama"]))
    plain = load_model(make_model(*FAMILIES["llama"]))
    handle = model.anatomy.blocks[1].register_forward_hook(lambda *a: a[2] + 3.0)
    found = read_residuals(model, TOKENS, "mlp_out:1")
    handle.remove()
    assert_equal(found, read_residuals(plain, TOKENS, "mlp_out:1"))
