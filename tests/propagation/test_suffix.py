from __future__ import annotations

import copy
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from steppe.core.errors import InputError
from steppe.core.sites import Site
from steppe.models import Model
from steppe.propagation import Suffix, build_prefix, read_residuals, set_memory_budget

LAST = Site.parse("blocks.last.hook_resid_post")
NORM = Site.parse("ln_final.hook_normalized")


def tokens_of(model: Model, length: int) -> Tensor:
    return torch.arange(7, 7 + 5 * length, 5) % model.d_vocab


def points_of(base: Tensor, n_points: int = 4) -> Tensor:
    """The base, then points ever further from it along one direction."""
    direction = torch.linspace(-1.0, 1.3, base.numel()).cos().reshape(base.shape)
    lengths = torch.arange(n_points).reshape(-1, *[1] * base.ndim)
    return base + lengths * direction


def full_forward(
    model: Model, site: Site, tokens: Tensor, points: Tensor
) -> tuple[dict[int, Tensor], Tensor]:
    """Streams and logits of the whole model on the whole prompt, point 0 as the model makes it."""
    blocks = model.anatomy.blocks
    depth = site.blocks_before(model.n_layers)
    where = slice(None) if site.position == "all" else site.position
    streams: dict[int, Tensor] = {}

    def place(stream: Tensor) -> Tensor:
        stream = stream.clone()
        stream[1:, where] = points[1:]
        return stream

    def enter(_module: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        stream = args[0] if args else kwargs["hidden_states"]
        if depth == 0:
            stream = place(stream)
        streams[0] = stream
        return (
            ((stream, *args[1:]), kwargs) if args else (args, {**kwargs, "hidden_states": stream})
        )

    def after(number: int) -> Any:
        def hook(_module: Any, _args: Any, output: Any) -> Any:
            stream = output[0] if isinstance(output, tuple) else output
            streams[number] = place(stream) if number == depth else stream
            rest = output[1:] if isinstance(output, tuple) else None
            return streams[number] if rest is None else (streams[number], *rest)

        return hook

    handles = [blocks[0].register_forward_pre_hook(enter, with_kwargs=True)]
    handles += [block.register_forward_hook(after(i + 1)) for i, block in enumerate(blocks)]
    with torch.no_grad():
        logits = model.hf_model(tokens.expand(len(points), -1), use_cache=False).logits
    for handle in handles:
        handle.remove()
    return {n: model.to_coordinates(stream) for n, stream in streams.items()}, logits


def error(found: Tensor, expected: Tensor) -> float:
    assert found.shape == expected.shape
    return float((found - expected).abs().max() / expected.abs().max())


def check(model: Model, site: Site, length: int) -> None:
    tokens = tokens_of(model, length)
    prefix = build_prefix(model, tokens, site)
    points = points_of(prefix.base)
    with Suffix(model, site, read=[LAST], logits=True) as suffix:
        outputs = suffix(prefix, points)
    streams, logits = full_forward(model, site, tokens, points)
    expected = streams[model.n_layers]
    if site.position != "all":
        expected, logits = expected[:, -1], logits[:, -1]
    assert outputs.logits is not None
    assert error(outputs.residuals[LAST.name], expected) < 1e-5
    assert error(outputs.logits, logits) < 1e-5


@pytest.mark.parametrize("length", [1, 2, 10, 64])
@pytest.mark.parametrize(
    "name", ["resid_pre:0", "resid_pre:1", "resid_post:1", "resid_pre:last", "resid_post:last"]
)
def test_the_suffix_equals_the_full_forward(family_model: Model, name: str, length: int) -> None:
    check(family_model, Site.parse(name), length)


@pytest.mark.parametrize("name", ["resid_pre:0", "resid_pre:2", "resid_post:last"])
@pytest.mark.parametrize("position", [0, 4, -2, "all"])
def test_other_positions_equal_the_full_forward(
    family_model: Model, name: str, position: Any
) -> None:
    check(family_model, Site.parse(name, position), 12)


def test_every_later_site_can_be_read(gpt2: Model) -> None:
    site = Site.parse("resid_pre:1", 3)
    reads = [Site.parse(f"resid_post:{layer}", 5) for layer in range(gpt2.n_layers)]
    tokens = tokens_of(gpt2, 8)
    prefix = build_prefix(gpt2, tokens, site)
    points = points_of(prefix.base)
    with Suffix(gpt2, site, read=reads[1:]) as suffix:
        outputs = suffix(prefix, points)
    streams, _ = full_forward(gpt2, site, tokens, points)
    assert outputs.logits is None
    for layer in range(1, gpt2.n_layers):
        assert error(outputs.residuals[reads[layer].name], streams[layer + 1][:, 5]) < 1e-5


def test_the_site_itself_can_be_read_without_running_the_model(gpt2: Model) -> None:
    site = Site.parse("resid_post:0")
    prefix = build_prefix(gpt2, tokens_of(gpt2, 6), site)
    points = points_of(prefix.base)
    with Suffix(gpt2, site, read=[Site.parse("resid_pre:1")]) as suffix:
        outputs = suffix(prefix, points)
    expected = points - points.mean(-1, keepdim=True)
    torch.testing.assert_close(outputs.residuals["blocks.1.hook_resid_pre"], expected)


@pytest.mark.parametrize("family", ["gpt2", "llama"])
def test_ln_final_is_the_final_norm_before_its_gain_and_bias(model_of: Any, family: str) -> None:
    model = model_of(family)
    site = Site.parse("resid_pre:1")
    prefix = build_prefix(model, tokens_of(model, 6), site)
    with Suffix(model, site, read=[LAST, NORM], logits=False) as suffix:
        outputs = suffix(prefix, points_of(prefix.base))
    norm = model.anatomy.final_norm
    with torch.inference_mode():
        applied = outputs.residuals[NORM.name] * norm.weight + getattr(norm, "bias", 0.0)
        expected = norm(outputs.residuals[LAST.name])
    torch.testing.assert_close(applied, expected, rtol=1e-5, atol=1e-5)


def test_ln_final_is_refused_where_the_norm_is_not_recognised(model_of: Any) -> None:
    model = model_of("opt_post_norm")
    site = Site.parse("resid_pre:1")
    prefix = build_prefix(model, tokens_of(model, 6), site)
    with (
        Suffix(model, site, read=[NORM]) as suffix,
        pytest.raises(InputError, match="final normalisation is not recognised"),
    ):
        suffix(prefix, points_of(prefix.base))


def test_the_prefix_is_untouched_by_use(model_of: Any) -> None:
    model = model_of("qwen2_sliding")
    site = Site.parse("resid_pre:1")
    prefix = build_prefix(model, tokens_of(model, 12), site)
    assert prefix.cache is not None
    layers = prefix.cache.layers
    assert layers[0].keys is None, "a layer before the site keeps no keys"
    before = [(layer.keys.clone(), layer.values.clone()) for layer in layers[1:]]
    points = points_of(prefix.base)
    with Suffix(model, site, read=[LAST], logits=True) as suffix:
        first = suffix(prefix, points)
        suffix(prefix, points[:2])
        again = suffix(prefix, points)
    for layer, (keys, values) in zip(layers[1:], before, strict=True):
        assert torch.equal(layer.keys, keys)
        assert torch.equal(layer.values, values)
    assert torch.equal(first.residuals[LAST.name], again.residuals[LAST.name])


def test_a_path_does_not_depend_on_what_else_runs(gpt2: Model) -> None:
    site = Site.parse("resid_pre:1")
    prefixes = [build_prefix(gpt2, tokens_of(gpt2, n), site) for n in (10, 4, 10)]
    paths = [points_of(prefix.base, 7) for prefix in prefixes]
    with Suffix(gpt2, site, read=[LAST], logits=True) as suffix:
        together = [suffix(*work) for work in zip(prefixes, paths, strict=True)]
    with Suffix(gpt2, site, read=[LAST]) as suffix:
        alone = suffix(build_prefix(gpt2, tokens_of(gpt2, 10), site), paths[2])
    assert torch.equal(together[2].residuals[LAST.name], alone.residuals[LAST.name])


def state_of(model: Model) -> list[Any]:
    return [
        (
            name,
            len(module._forward_hooks),
            len(module._forward_pre_hooks),
            "forward" in vars(module),
        )
        for name, module in model.hf_model.named_modules()
    ]


@pytest.mark.parametrize("engine", ["auto", "general", "full"])
@pytest.mark.parametrize("position", [-1, 4, "all"])
def test_prompts_together_give_what_each_gives_alone(
    family_model: Model, position: Any, engine: Any
) -> None:
    model = replace(family_model, engine=engine)
    site = Site(1, "resid_pre", position)
    ids = (torch.arange(3 * 12).reshape(3, 12) * 7) % model.d_vocab
    alone = [build_prefix(model, row, site) for row in ids]
    together = build_prefix(model, ids, site)
    paths = torch.stack([points_of(prefix.base) for prefix in alone])
    with Suffix(model, site, read=[LAST], logits=True) as suffix:
        each = [suffix(prefix, own) for prefix, own in zip(alone, paths, strict=True)]
        all_at_once = suffix(together, paths.flatten(0, 1))
        some = suffix(together[1:], paths[1:].flatten(0, 1))
    for place, outputs in enumerate(each):
        torch.testing.assert_close(together[place].base, alone[place].base)
        rows = slice(4 * place, 4 * place + 4)
        for found, of in ((all_at_once, rows), (some, slice(rows.start - 4, rows.stop - 4))):
            if of.start < 0:
                continue
            assert found.logits is not None
            assert outputs.logits is not None
            torch.testing.assert_close(found.logits[of], outputs.logits, rtol=1e-4, atol=1e-5)
            torch.testing.assert_close(
                found.residuals[LAST.name][of], outputs.residuals[LAST.name], rtol=1e-4, atol=1e-4
            )


def test_one_of_several_prompts_is_chosen_and_of_one_prompt_none(gpt2: Model) -> None:
    ids = torch.arange(24).reshape(3, 8)
    prefix = build_prefix(gpt2, ids, Site(1, "resid_pre"))
    for place in (2, -1):
        cache = prefix[place].cache
        assert cache is not None
        # Blocks before the site keep lengths only.
        assert [len(one.keys) for one in cache.layers if one.keys is not None] == [1, 1]
    with pytest.raises(IndexError):
        prefix[3]
    with pytest.raises(IndexError, match="one prompt"):
        build_prefix(gpt2, ids[0], Site(1, "resid_pre"))[0]


def test_prompts_that_do_not_fit_together_run_one_by_one(gpt2: Model) -> None:
    site = Site(1, "resid_pre")
    prefix = build_prefix(gpt2, torch.arange(24).reshape(3, 8), site)
    points = torch.cat([points_of(base) for base in prefix.base])
    with Suffix(gpt2, site, read=[LAST], logits=True) as suffix:
        whole = suffix(prefix, points, path_length=4)
        set_memory_budget(1)
        try:
            assert not suffix.fits(prefix, len(points))
            apart = suffix(prefix, points, path_length=4)
        finally:
            set_memory_budget(None)
    assert whole.logits is not None
    assert apart.logits is not None
    torch.testing.assert_close(apart.logits, whole.logits, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", ["resid_pre:0", "resid_pre:2", "resid_post:last"])
def test_the_model_is_restored_after_an_exception(gpt2: Model, name: str) -> None:
    site = Site.parse(name)
    tokens = tokens_of(gpt2, 6)
    prefix = build_prefix(gpt2, tokens, site)
    before = state_of(gpt2)
    clean = gpt2.hf_model(tokens[None]).logits

    def fail(*_: Any) -> None:
        raise RuntimeError("out of memory")

    def run_out_of_memory() -> None:
        with Suffix(gpt2, site, read=[LAST], logits=True) as suffix:
            suffix(prefix, points_of(prefix.base))

    handle = gpt2.hf_model.lm_head.register_forward_hook(fail)
    with pytest.raises(RuntimeError, match="out of memory"):
        run_out_of_memory()
    handle.remove()
    assert state_of(gpt2) == before
    assert torch.equal(gpt2.hf_model(tokens[None]).logits, clean)
    with Suffix(gpt2, site, read=[LAST], logits=True) as suffix:
        suffix(prefix, points_of(prefix.base))


def test_the_model_works_as_usual_while_a_suffix_is_open(gpt2: Model) -> None:
    site, other = Site.parse("resid_pre:2"), Site.parse("resid_pre:0")
    tokens = tokens_of(gpt2, 6)
    clean = gpt2.hf_model(tokens[None]).logits
    harvested = read_residuals(gpt2, tokens[None], site)
    prefix, early = (build_prefix(gpt2, tokens, where) for where in (site, other))
    points = points_of(prefix.base)
    with (
        Suffix(gpt2, site, read=[LAST]) as suffix,
        Suffix(gpt2, other, read=[LAST]) as second,
    ):
        assert torch.equal(gpt2.hf_model(tokens[None]).logits, clean)
        assert torch.equal(read_residuals(gpt2, tokens[None], site), harvested)
        assert torch.equal(build_prefix(gpt2, tokens, site).base, prefix.base)
        found = suffix(prefix, points).residuals[LAST.name]
        first = second(early, points_of(early.base)).residuals[LAST.name][0]
    assert error(found[:1], first[None]) < 1e-5


def test_several_may_be_closed_in_any_order(gpt2: Model) -> None:
    before = state_of(gpt2)
    sites = [Site.parse("resid_pre:2"), Site.parse("resid_pre:1")]
    prefixes = [build_prefix(gpt2, tokens_of(gpt2, 6), site) for site in sites]
    points = [points_of(prefix.base) for prefix in prefixes]
    with Suffix(gpt2, sites[1], read=[LAST]) as suffix:
        expected = suffix(prefixes[1], points[1]).residuals[LAST.name]
    # As where two generators that hold one each are read in turns.
    first, second = (Suffix(gpt2, site, read=[LAST]) for site in sites)
    first.__enter__()
    second.__enter__()
    first(prefixes[0], points[0])
    first.__exit__(None, None, None)
    found = second(prefixes[1], points[1]).residuals[LAST.name]
    second.__exit__(None, None, None)
    assert torch.equal(found, expected)
    assert state_of(gpt2) == before


def test_a_suffix_is_not_opened_twice_at_once(gpt2: Model) -> None:
    with Suffix(gpt2, Site.parse("blocks.1.hook_resid_pre"), read=[LAST]) as suffix:
        with pytest.raises(InputError, match="make a second Suffix"), suffix:
            pass
        assert suffix(build_prefix(gpt2, tokens_of(gpt2, 3), suffix.site), torch.zeros(2, 32))


def test_a_copy_of_a_model_that_is_in_use_has_its_own_weights(gpt2: Model) -> None:
    tokens = tokens_of(gpt2, 6)[None]
    with Suffix(gpt2, Site.parse("resid_pre:1"), read=[LAST], logits=True):
        copied = copy.deepcopy(gpt2.hf_model)
    with torch.no_grad():
        before = copied(tokens).logits
        copied.transformer.h[1].mlp.c_fc.weight.mul_(2.0)
        after = copied(tokens).logits
        assert error(before, gpt2.hf_model(tokens).logits) < 1e-6
    assert error(after, before) > 1e-3


@pytest.mark.parametrize("name", ["resid_pre:0", "resid_pre:2"])
def test_the_model_is_restored_when_a_prefix_fails(gpt2: Model, name: str) -> None:
    tokens, site, before = tokens_of(gpt2, 6), Site.parse(name), state_of(gpt2)
    seen = []

    def fail(module: Any, *_: Any) -> None:
        seen.append("forward" in vars(module.mlp.c_fc))
        raise RuntimeError("out of memory")

    handle = gpt2.anatomy.blocks[1].register_forward_hook(fail)
    with pytest.raises(RuntimeError, match="out of memory"):
        build_prefix(gpt2, tokens, site)
    handle.remove()
    assert len(seen) == 1
    assert state_of(gpt2) == before


def test_points_are_left_unchanged(gpt2: Model) -> None:
    site = Site.parse("resid_pre:1", 2)
    prefix = build_prefix(gpt2, tokens_of(gpt2, 6), site)
    points = points_of(prefix.base)
    copy, rows = points.clone(), prefix.rows.clone()
    with Suffix(gpt2, site, read=[LAST]) as suffix:
        suffix(prefix, points)
    assert torch.equal(points, copy)
    assert torch.equal(prefix.rows, rows)


def refused(model: Model, site: Site, **options: Any) -> str:
    with pytest.raises(InputError) as caught:
        Suffix(model, site, **options)
    return str(caught.value)


def test_requests_that_make_no_sense_are_refused(gpt2: Model) -> None:
    site = Site.parse("resid_pre:2")
    assert refused(gpt2, site, read=[Site.parse("resid_post:0")]) == (
        "read site blocks.0.hook_resid_post\n"
        "  got:      a site before blocks.2.hook_resid_pre, where the points are placed\n"
        "  expected: the same site or a later one: earlier ones cannot change\n"
        "  fix:      read blocks.last.hook_resid_post"
    )
    assert refused(gpt2, site, read=[]) == (
        "suffix after blocks.2.hook_resid_pre\n"
        "  got:      nothing to read\n"
        "  expected: at least one read site, or logits=True\n"
        "  fix:      read blocks.last.hook_resid_post"
    )
    everywhere = Site.parse("resid_post:2", "all")
    assert refused(gpt2, site, read=[everywhere]) == (
        "read site blocks.2.hook_resid_post\n"
        "  got:      position 'all' while points are placed at one position\n"
        "  expected: one position, or points at all positions\n"
        "  fix:      read one position, or give the points' site position='all'"
    )
    assert "ln_final.hook_normalized" in refused(gpt2, NORM, read=[LAST])
    assert "layer 9" in refused(gpt2, Site.parse("resid_pre:9"), read=[LAST])
    assert "layer 9" in refused(gpt2, site, read=[Site.parse("resid_post:9")])


def call_refused(suffix: Suffix, prefix: Any, points: Tensor) -> str:
    with pytest.raises(InputError) as caught:
        suffix(prefix, points)
    return str(caught.value)


def test_calls_that_do_not_fit_are_refused(gpt2: Model) -> None:
    site = Site.parse("resid_pre:2", 3)
    prefix = build_prefix(gpt2, tokens_of(gpt2, 6), site)
    points = points_of(prefix.base)
    suffix = Suffix(gpt2, site, read=[LAST])
    assert call_refused(suffix, prefix, points) == (
        "suffix after blocks.2.hook_resid_pre\n"
        "  got:      a call while the suffix is not open\n"
        "  expected: a call inside its with block\n"
        "  fix:      write: with Suffix(...) as suffix: suffix(prefix, points)"
    )
    with suffix:
        assert call_refused(suffix, prefix, points[:, 1:]) == (
            "points\n"
            "  got:      shape (4, 31)\n"
            "  expected: (step, 32)\n"
            "  fix:      pass one row per step, in the residual stream's width"
        )
        other = build_prefix(gpt2, tokens_of(gpt2, 6), Site.parse("resid_pre:1"))
        assert call_refused(suffix, other, points) == (
            "suffix after blocks.2.hook_resid_pre at position 3\n"
            "  got:      a prefix for blocks.1.hook_resid_pre at position -1\n"
            "  expected: a prefix built for the suffix' own site\n"
            "  fix:      call build_prefix with the same site"
        )
    with Suffix(gpt2, site, read=[Site.parse("resid_post:2", 1)]) as early:
        assert call_refused(early, prefix, points) == (
            "read site blocks.2.hook_resid_post\n"
            "  got:      position 1, before the points\n"
            "  expected: 3 or later: earlier positions cannot change\n"
            "  fix:      read at the position of the points or after it"
        )
    with Suffix(gpt2, site, read=[Site.parse("resid_post:2", 6)]) as late:
        assert "position 6" in call_refused(late, prefix, points)


class _HostWaits(TorchDispatchMode):
    """Counts operations that would make the host wait for a GPU."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[str] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func.overloadpacket in {
            torch.ops.aten._local_scalar_dense,
            torch.ops.aten.nonzero,
            torch.ops.aten.is_nonzero,
            torch.ops.aten.equal,
        }:
            self.seen.append(str(func))
        return func(*args, **(kwargs or {}))


@pytest.mark.parametrize("family", ["gpt2", "gpt_neox", "llama", "qwen2_sliding"])
def test_a_call_reads_no_value_back_from_the_device(model_of: Any, family: str) -> None:
    model = model_of(family)
    site = Site.parse("resid_pre:1")
    prefix = build_prefix(model, tokens_of(model, 12), site)
    points = points_of(prefix.base, 7)
    with Suffix(model, site, read=[LAST], logits=True) as suffix, _HostWaits() as waits:
        suffix(prefix, points)
        suffix(prefix, points)
    assert waits.seen == []
