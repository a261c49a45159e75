"""Probability, log-odds and rank of tokens, by value; what is no token is refused."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from steppe.core.errors import InputError
from steppe.metrics import log_odds_of, measure, probability_of, rank_of, token_ids
from steppe.metrics.tokens_of_interest import log_odds, probability, rank
from steppe.models import Model, load_model
from steppe.propagation import propagate, read_residuals

LOGITS = 4 * torch.randn(6, 3, 50, generator=torch.Generator().manual_seed(2))
IDS = [3, 11, 40]


@pytest.fixture(scope="module")
def demo() -> Model:
    return load_model("demo", device="cpu")


def test_probability_and_log_odds_are_those_of_the_softmax() -> None:
    p = LOGITS.double().softmax(-1)[..., IDS].sum(-1)
    torch.testing.assert_close(probability(LOGITS, IDS).double(), p, rtol=1e-5, atol=1e-7)
    odds = (p / (1 - p)).log()
    torch.testing.assert_close(log_odds(LOGITS, IDS).double(), odds, rtol=1e-5, atol=1e-5)


def test_log_odds_are_exact_near_certainty() -> None:
    # p differs from 1 by exp(-60), which no float32 probability shows.
    logits = torch.tensor([[60.0, 0.0], [0.0, 60.0]])
    assert log_odds(logits, [0]).tolist() == [60.0, -60.0]


def test_rank_counts_the_likelier_tokens() -> None:
    order = LOGITS.argsort(dim=-1, descending=True)
    places = (order == 11).nonzero()[:, -1].reshape(6, 3) + 1
    assert rank(LOGITS, 11).tolist() == places.tolist()
    assert rank(torch.zeros(1, 5), 3).tolist() == [1.0]
    assert bool(rank(torch.tensor([[0.0, torch.nan]]), 0).isnan().all())


def test_tokens_are_given_as_ids_or_texts(demo: Model) -> None:
    assert demo.tokenizer is not None
    the = demo.tokenizer(" the", add_special_tokens=False)["input_ids"]
    assert token_ids([" the", 5], demo) == (the[0], 5)


@pytest.mark.parametrize(
    ("tokens", "told"),
    [
        ([" the cat sat on it"], "5 tokens"),
        ([10**6], "id 1000000"),
        ([-1], "id -1"),
        ([5, 5], r"ids \[5, 5\]"),
        ([], "ids"),
        ([""], "0 tokens"),
    ],
)
def test_what_is_no_token_is_refused(demo: Model, tokens: list[int | str], told: str) -> None:
    with pytest.raises(InputError, match=told):
        token_ids(tokens, demo)


def test_text_needs_a_tokenizer(model: Model) -> None:
    with pytest.raises(InputError, match="no tokenizer"):
        token_ids([" the"], model)
    with pytest.raises(InputError, match="99"):
        probability(LOGITS, [99])


def test_the_same_text_of_other_ids_is_another_metric(demo: Model) -> None:
    for make in (rank_of, lambda token, model: probability_of([token], model),
                 lambda token, model: log_odds_of([token], model)):  # fmt: skip
        assert make(5, demo).content != make(6, demo).content


def test_metrics_of_tokens(model: Model) -> None:
    logits = torch.randn(4, model.d_vocab)
    made = probability_of([3, 7], model), log_odds_of([3, 7], model), rank_of(7, model)
    assert [one.unit for one in made] == ["1", "nats", "1"]
    assert all(one.reads == "logits" for one in made)
    assert made[0].name == "probability[3, 7]"
    assert torch.equal(made[0].measure(logits), probability(logits, [3, 7]))
    assert torch.equal(made[1].measure(logits), log_odds(logits, [3, 7]))
    assert torch.equal(made[2].measure(logits), rank(logits, 7))


def test_they_are_measured_along_a_path(model: Model) -> None:
    tokens, site = torch.arange(2 * 6).reshape(2, 6), "blocks.1.hook_resid_pre"
    base = read_residuals(model, tokens, site)
    points = base[:, None] + torch.linspace(0, 1, 5)[:, None] * base.flip(0)[:, None]
    curves = measure(model, tokens, site, points, ["entropy", probability_of([3, 7], model)])
    logits = propagate(model, tokens, site, points, logits=True).logits
    assert logits is not None
    expected = logits.softmax(-1)[..., [3, 7]].sum(-1)
    found = torch.from_numpy(curves["probability[3, 7]"].values)
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-6)
    assert curves["entropy"].attrs["unit"] == "nats"


def test_a_text_that_is_another_token_elsewhere_is_refused_there(demo: Model) -> None:
    metric = probability_of([" the"], demo)
    [the] = token_ids([" the"], demo)
    elsewhere = with_words(demo, ["\u2581a", "\u2581the"])
    assert token_ids([" the"], elsewhere) != (the,)
    metric.of(demo)
    for refused in (metric, log_odds_of([" the"], demo), rank_of(" the", demo)):
        with pytest.raises(InputError, match="looked up for another model"):
            refused.of(elsewhere)


def with_words(demo: Model, words: list[str]) -> Model:
    """The model with a tokenizer that writes the blank before a word as SentencePiece does."""
    vocabulary = {word: number for number, word in enumerate(["<unk>", *words])}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="first")
    fast = PreTrainedTokenizerFast(tokenizer_object=tokenizer, unk_token="<unk>")
    return replace(demo, tokenizer=fast)


def test_a_word_and_its_continuation_are_told_apart(demo: Model) -> None:
    words = with_words(demo, ["\u2581Paris", "Paris"])
    assert token_ids([" Paris"], words) == (1,)
    # Such tokenizers put a blank before any text: the other token would be meant.
    with pytest.raises(InputError, match="the start of a word"):
        token_ids(["Paris"], words)


def test_a_text_that_the_tokenizer_does_not_know_is_refused(demo: Model) -> None:
    with pytest.raises(InputError, match="does not know"):
        token_ids([" Rome"], with_words(demo, ["\u2581Paris"]))
