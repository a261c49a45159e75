"""How likely some tokens are: probability and log-odds of a set of them, and the rank of one."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import torch
from torch import Tensor

from steppe.core.errors import InputError
from steppe.metrics.catalogue import Metric
from steppe.metrics.distributions import in_chunks
from steppe.models.model import Model

Token = int | str
# How tokenizers of SentencePiece write the blank before a word.
_BLANK = "\u2581"


def probability(logits: Tensor, ids: Sequence[int]) -> Tensor:
    """Probability that the next token is one of a set.

    Args:
        logits: Shape ``(step, ..., vocab)``, float32 or wider.
        ids: The tokens of the set, each once.

    Returns:
        Shape ``(step, ...)``, from 0 to 1.
    """
    chosen = _chosen(logits, ids)
    return in_chunks(logits, lambda part: part.log_softmax(-1)[..., chosen].logsumexp(-1).exp())


def log_odds(logits: Tensor, ids: Sequence[int]) -> Tensor:
    """Natural logarithm of the odds ``p / (1 - p)`` that the next token is one of a set.

    Both sides are summed by themselves, so that it is exact where ``p`` is near 0 or 1.

    Args:
        logits: Shape ``(step, ..., vocab)``, float32 or wider.
        ids: The tokens of the set, each once; not the whole vocabulary.

    Returns:
        Shape ``(step, ...)``, in nats.
    """
    chosen = _chosen(logits, ids)

    def odds(part: Tensor) -> Tensor:
        others = part.index_fill(-1, chosen, -torch.inf)
        return part[..., chosen].logsumexp(-1) - others.logsumexp(-1)

    return in_chunks(logits, odds)


def rank(logits: Tensor, token: int) -> Tensor:
    """Rank of a token among all by probability, 1 for the likeliest; equal ones share the best.

    Args:
        logits: Shape ``(step, ..., vocab)``.
        token: The token's id.

    Returns:
        Shape ``(step, ...)``, whole numbers in the format of the logits; NaN where a logit is NaN.
    """
    [place] = _chosen(logits, [token]).tolist()

    def ranked(part: Tensor) -> Tensor:
        above = (part > part[..., place, None]).sum(-1).to(part.dtype) + 1
        return torch.where(part.isnan().any(-1), torch.nan, above)

    return in_chunks(logits, ranked)


def token_ids(tokens: Sequence[Token], model: Model) -> tuple[int, ...]:
    """Return the ids of tokens that are given as ids or as text.

    Args:
        tokens: Ids, or texts that are one token each, as ``" Paris"`` with its space.
        model: Gives the vocabulary and the tokenizer.

    Raises:
        InputError: None is given, one twice, an id outside of the vocabulary, or a text that is
            not one token.
    """
    ids = tuple(_token_id(token, model) for token in tokens)
    if not ids or len(set(ids)) < len(ids) or len(ids) >= model.d_vocab:
        raise InputError(
            "tokens of interest",
            got=f"{list(tokens)!r}, ids {list(ids)}",
            expected=f"1 to {model.d_vocab - 1} tokens, each once",
            fix="leave out what is there twice",
        )
    return ids


def probability_of(tokens: Sequence[Token], model: Model) -> Metric:
    """The metric `probability` of a set of tokens, given as ids or texts (`token_ids`)."""
    ids = token_ids(tokens, model)
    text = f"probability of {_named(tokens)}"
    name = f"probability{_named(tokens)}"
    fits = partial(_require_ids, tokens, ids)
    measure = partial(probability, ids=ids)
    return Metric(name, "1", text, "logits", measure, content=str(ids), fits=fits)


def log_odds_of(tokens: Sequence[Token], model: Model) -> Metric:
    """The metric `log_odds` of a set of tokens, given as ids or texts (`token_ids`)."""
    ids = token_ids(tokens, model)
    text = f"log-odds of {_named(tokens)}"
    name = f"log_odds{_named(tokens)}"
    fits = partial(_require_ids, tokens, ids)
    measure = partial(log_odds, ids=ids)
    return Metric(name, "nats", text, "logits", measure, content=str(ids), fits=fits)


def rank_of(token: Token, model: Model) -> Metric:
    """The metric `rank` of one token, given as id or text (`token_ids`)."""
    [place] = token_ids([token], model)
    name, text = f"rank{_named([token])}", f"rank of {_named([token])}"
    fits = partial(_require_ids, [token], (place,))
    measure = partial(rank, token=place)
    return Metric(name, "1", text, "logits", measure, content=str(place), fits=fits)


def _require_ids(tokens: Sequence[Token], ids: tuple[int, ...], model: Model) -> None:
    """Refuse a model for whose tokenizer the tokens are others than those that were looked up."""
    found = token_ids(tokens, model)
    if found != ids:
        raise InputError(
            f"tokens of interest {_named(tokens)}",
            got=f"ids {list(ids)}, looked up for another model; {model.name} has {list(found)}",
            expected="the ids of the model that is measured",
            fix="make the metric with this model",
        )


def _named(tokens: Sequence[Token]) -> str:
    return f"[{', '.join(map(repr, tokens))}]"


def _token_id(token: Token, model: Model) -> int:
    if isinstance(token, str):
        return _id_of_text(token, model)
    if 0 <= token < model.d_vocab:
        return int(token)
    raise InputError(
        "token of interest",
        got=f"id {token}",
        expected=f"0 to {model.d_vocab - 1}, the vocabulary of {model.name}",
        fix="take the id from this model's own tokenizer",
    )


def _id_of_text(text: str, model: Model) -> int:
    if model.tokenizer is None:
        raise InputError(
            "token of interest",
            got=f"{text!r}, for the model {model.name} which has no tokenizer",
            expected="a token id",
            fix="give ids, or pass tokenizer= to load_model",
        )
    tokenizer = model.tokenizer
    if text.startswith(" ") and _BLANK + text[1:] in tokenizer.get_vocab():
        return int(tokenizer.convert_tokens_to_ids(_BLANK + text[1:]))
    ids = tokenizer(text, add_special_tokens=False, verbose=False)["input_ids"]
    pieces = tokenizer.convert_ids_to_tokens(ids)
    if len(ids) == 1 and ids[0] == tokenizer.unk_token_id and text != tokenizer.unk_token:
        raise InputError(
            "token of interest",
            got=f"{text!r}, which {model.name} does not know: it reads {pieces[0]!r}",
            expected="a text that is one token of its vocabulary",
            fix="give another text, or a token id",
        )
    if len(ids) == 1 and pieces[0] == _BLANK + text:
        raise InputError(
            "token of interest",
            got=f"{text!r}, which {model.name} reads as {pieces[0]!r}, the start of a word",
            expected="a text with its blank where that token is meant",
            fix=f"give {' ' + text!r}, or the id of the token that is meant",
        )
    if len(ids) == 1:
        return int(ids[0])
    raise InputError(
        "token of interest",
        got=f"{text!r}, which is {len(ids)} tokens: {pieces}",
        expected="a text that is one token, its leading space included",
        fix=f"give one of these, or {' ' + text.lstrip()!r}, or token ids",
    )


def _chosen(logits: Tensor, ids: Sequence[int]) -> Tensor:
    vocabulary = logits.shape[-1]
    outside = [token for token in ids if not 0 <= token < vocabulary]
    if outside or not ids:
        raise InputError(
            "tokens of interest",
            got=f"ids {outside or list(ids)}",
            expected=f"token ids from 0 to {vocabulary - 1}",
            fix="give ids of the vocabulary whose logits these are",
        )
    return torch.tensor(list(ids), device=logits.device)
