"""Which tokens the model reads: fixed-length prompts from a file, a data set or the bundle."""

from __future__ import annotations

import hashlib
from collections.abc import Generator, Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Self

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import load_file

from steppe.core.bundled import DEMO, demo_prompts
from steppe.core.errors import InputError
from steppe.models.documents import Source, open_source
from steppe.models.model import Model
from steppe.models.rows import BadRowError, Document
from steppe.models.text_files import ENDINGS
from steppe.models.tokenising import tokenise

_WINDOW = 10
MAX_BAD_ROWS = 0.01
# How often the share of bad rows is looked at before the end of a source.
_ROWS_BETWEEN = 1000
# From so many rows on, one may be bad whatever the share.
_ROWS_FOR_ONE = 10


@dataclass(frozen=True, eq=False)
class Prompts:
    """Fixed-length prompts.

    Attributes:
        tokens: int64 ``(prompt, position)``, BOS included.
        source: Where they came from.
        sha256: Hash of the shape and the token ids of ``tokens``.
        rows: Rows and texts that were read.
        skipped: Those of them that could not be used.
        revision: Commit of a data set of the hub.
    """

    tokens: NDArray[np.int64]
    source: str
    sha256: str
    rows: int
    skipped: int = 0
    revision: str | None = None

    @classmethod
    def of(
        cls,
        tokens: NDArray[np.int64],
        source: str,
        rows: int,
        skipped: int = 0,
        revision: str | None = None,
    ) -> Self:
        """Prompts of these tokens, with their hash."""
        digest = hashlib.sha256(repr(tokens.shape).encode() + tokens.tobytes()).hexdigest()
        return cls(tokens, source, digest, rows, skipped, revision)

    def __len__(self) -> int:
        return len(self.tokens)

    @property
    def equal_share(self) -> float:
        """Share of the prompts that equal an earlier one."""
        return 1 - len({row.tobytes() for row in self.tokens}) / len(self.tokens)


def load_prompts(
    source: str | Path | None,
    model: Model,
    *,
    length: int = 10,
    count: int | None = None,
    limit: int | None = None,
    bos: bool = False,
    column: str | None = None,
    max_bad_rows: float = MAX_BAD_ROWS,
    revision: str | None = None,
) -> Prompts:
    """Load prompts for a model: the first of the source, in its order.

    A text is cut into consecutive windows, each document by itself; its tail that fills no window
    is left out. Of a row of token ids the first ``length`` tokens are taken, after padding that
    its ``attention_mask`` tells is dropped. No more of the source is read than the prompts need.

    Args:
        source: ``"demo"`` or None (the bundled prompts, for the bundled model); a file
            (``.txt .md .jsonl .json .csv .parquet``, also ``.gz .zst .xz``), a folder of
            them or of a data set, or a hub id. A .txt or .md file is one text.
        model: Gives the tokenizer and the vocabulary.
        length: Tokens per prompt, BOS included.
        count: How many prompts; None takes all there are.
        limit: Take at most this many, and what there is when there are fewer.
        bos: Whether each prompt that does not begin with the model's BOS gets it in front: BOS
            and ``length - 1`` tokens of the source then make a prompt.
        column: Which column holds the text or the token ids; None: ``input_ids``, ``text`` or
            ``tokens``. Of another name, a column of strings is text.
        max_bad_rows: Share of rows, from 0 to below 1, that may be unusable and are skipped, and
            one of ten rows or more in any case; 0: none.
        revision: Branch, tag or commit of a data set of the hub.

    Returns:
        The prompts.

    Raises:
        InputError: No such source, an empty one, too many bad rows (a row shorter than ``length``
            is one), fewer prompts than ``count``, tokens outside the vocabulary, text without a
            tokenizer, or ``bos`` for a model without BOS.
        MissingExtraError: The source needs a package of the extra ``datasets``.
    """
    _check_numbers(model, length, count)
    if not 0 <= max_bad_rows < 1:
        raise InputError(
            "max_bad_rows",
            got=str(max_bad_rows),
            expected="a share from 0 to below 1",
            fix="give the share of rows that may be left out, for instance 0.01",
        )
    if source is None and model.name != DEMO:
        raise InputError(
            "prompts",
            got=f"none, for the model {model.name}",
            expected="a file or a data set to take prompts from",
            fix=f"pass a file ending in {ENDINGS}, a data set folder or a hub id",
        )
    name = DEMO if source is None else str(source)
    if name == DEMO:
        opened = Source(_bundled(length))
    else:
        opened = open_source(
            name, column=column, revision=revision, endless_allowed=bool(count or limit)
        )
    cutter = _Cutter(model, length, _bos_id(model, length) if bos else None)
    tally = _Tally(max_bad_rows)
    with closing(opened.documents) as documents:
        prompts = tally.usable(cutter.prompts(found) for found in documents)
        rows = list(islice(prompts, count or limit))
    tally.check()
    _check_rows(rows, name, length, count)
    tokens = np.stack(rows)
    check_vocabulary(tokens, name, model)
    return Prompts.of(tokens, name, tally.rows, tally.skipped, opened.revision)


def _bundled(length: int) -> Generator[Document]:
    tensors = load_file(demo_prompts())
    rows = tensors["windows_10" if length == _WINDOW else "sequences_128"]
    if length > rows.shape[1]:
        raise InputError(
            "length",
            got=str(length),
            expected=f"at most {rows.shape[1]} for the bundled prompts",
            fix="use shorter prompts, or a file of your own",
        )
    return (Document("bundled prompts", row) for row in rows.astype(np.int64))


@dataclass(frozen=True)
class _Cutter:
    """Cuts documents into prompts.

    Attributes:
        model: Whose tokens they are.
        length: Tokens per prompt.
        bos: The token that each begins with; None: none is added.
    """

    model: Model
    length: int
    bos: int | None

    def prompts(self, document: Document | BadRowError) -> Iterator[NDArray[np.int64]]:
        """The prompts of one document.

        Raises:
            BadRowError: It has none that can be used.
            InputError: It is text, and the model has no tokenizer.
        """
        if isinstance(document, BadRowError):
            raise document
        if isinstance(document.content, np.ndarray):
            yield self._row(document.content, document)
            return
        if self.model.tokenizer is None:
            raise InputError(
                document.place,
                got=f"text, for the model {self.model.name} which has no tokenizer",
                expected="a model with a tokenizer, or prompts of token ids (input_ids)",
                fix="pass tokenizer= to load_model, or tokenise the prompts beforehand",
            )
        left = np.empty(0, dtype=np.int64)
        for ids in tokenise(self.model.tokenizer, document.content):
            left = np.concatenate([left, ids])
            start = 0
            while len(left) - start >= (taken := self._taken(left[start:])):
                yield self._prompt(left[start : start + taken])
                start += taken
            left = left[start:]

    def _row(self, ids: NDArray[np.int64], document: Document) -> NDArray[np.int64]:
        taken = self._taken(ids)
        if len(ids) < taken:
            raise BadRowError(
                document.place,
                got=f"a row of {len(ids)} tokens",
                expected=f"at least {taken} tokens for a prompt of {self.length}",
                fix="ask for shorter prompts, or use longer rows",
            )
        padding = None if document.is_masked else _padding_at_an_end(self.model, ids[:taken])
        if padding is not None:
            raise BadRowError(
                document.place,
                got=f"token {padding} at an end of the prompt, as padding leaves it",
                expected="token ids without padding, or an attention_mask that tells it",
                fix="store the attention_mask beside the token ids, or drop the padding",
            )
        return self._prompt(ids[:taken])

    def _taken(self, ids: NDArray[np.int64]) -> int:
        """How many of the source's tokens the next prompt takes."""
        needs_bos = self.bos is not None and (not len(ids) or ids[0] != self.bos)
        return self.length - needs_bos

    def _prompt(self, ids: NDArray[np.int64]) -> NDArray[np.int64]:
        return ids if len(ids) == self.length else np.concatenate([[self.bos], ids])


@dataclass
class _Tally:
    """Counts rows, and the bad ones among them.

    Attributes:
        share: How many may be bad.
        rows: Rows and texts so far.
        skipped: The bad ones.
        first: What the first of them is.
    """

    share: float
    rows: int = 0
    skipped: int = 0
    first: BadRowError | None = field(default=None, repr=False)

    def usable(
        self, documents: Iterable[Iterator[NDArray[np.int64]]]
    ) -> Iterator[NDArray[np.int64]]:
        """The prompts of documents, but those that cannot be used."""
        for prompts in documents:
            self.rows += 1
            try:
                yield from prompts
            except BadRowError as fault:
                self.skipped += 1
                self.first = self.first or fault
                if self.rows % _ROWS_BETWEEN == 0:
                    self.check()

    def check(self) -> None:
        """Refuse a source with too many bad rows.

        Raises:
            InputError: What is wrong with the first.
        """
        # One bad row does not end a source that is too short for the share to allow any.
        one = self.share > 0 and self.rows >= _ROWS_FOR_ONE
        allowed = max(self.share * self.rows, float(one))
        if self.first is None or self.skipped <= allowed:
            return
        counted = f"{self.skipped} of {self.rows} rows cannot be used, this one first"
        raise InputError(
            self.first.place,
            got=f"{self.first.got} ({counted})",
            expected=self.first.expected,
            fix=f"{self.first.fix}; up to {self.share:.3g} of all rows are skipped, more with "
            "max_bad_rows (--max-bad-rows)",
        ) from self.first


def _bos_id(model: Model, length: int) -> int:
    if model.bos_token_id is None:
        raise InputError(
            "bos",
            got=f"True, for {model.name}, which has no beginning-of-sequence token",
            expected="a model whose tokenizer or config.json names one (bos_token)",
            fix="leave bos out, or set the tokenizer's bos_token",
        )
    if length < 2:
        raise InputError(
            "length",
            got=f"{length}, with BOS",
            expected="at least 2: BOS and a token of the source",
            fix="ask for longer prompts, or for none with BOS",
        )
    return model.bos_token_id


def _check_numbers(model: Model, length: int, count: int | None) -> None:
    limit = model.context_length
    if length < 1 or (limit is not None and length > limit):
        raise InputError(
            "length",
            got=str(length),
            expected="1 or more" if limit is None else f"1 to {limit}, the context length",
            fix="choose how many tokens a prompt has",
        )
    if count is not None and count < 1:
        raise InputError(
            "count",
            got=str(count),
            expected="1 or more",
            fix="choose how many prompts to load, or leave count out to load all",
        )


def _check_rows(rows: list[NDArray[np.int64]], source: str, length: int, count: int | None) -> None:
    wanted = 1 if count is None else count
    if len(rows) < wanted:
        raise InputError(
            f"prompts {source}",
            got=f"{len(rows)} prompts of {length} tokens",
            expected=f"at least {wanted}",
            fix="use a larger source, shorter prompts or fewer of them",
        )


def _padding_at_an_end(model: Model, ids: NDArray[np.int64]) -> int | None:
    """The token that a row seems to be padded with; None: it is not.

    What a tokenizer pads with alone is padding wherever it stands at an end. Where it pads with
    another special token, such as the end of text, or names none, a special token that stands
    twice or more at an end is.
    """
    sure = padding_token(model)
    for end in (ids, ids[::-1]):
        if sure is not None and end[0] == sure:
            return sure
        if len(end) > 1 and end[0] == end[1] and int(end[0]) in _special_tokens(model):
            return int(end[0])
    return None


def _special_tokens(model: Model) -> set[int]:
    if model.tokenizer is not None:
        return set(model.tokenizer.all_special_ids)
    config = model.hf_model.config.get_text_config(decoder=True)
    stated = [getattr(config, f"{name}_token_id", None) for name in ("pad", "eos", "bos")]
    each = [one for token in stated for one in (token if isinstance(token, list) else [token])]
    return {int(token) for token in each if token is not None}


def padding_token(model: Model) -> int | None:
    """The token that a model's tokenizer pads with, where it can be nothing else."""
    tokenizer = model.tokenizer
    if tokenizer is None or tokenizer.pad_token_id is None:
        return None
    others = {tokenizer.bos_token_id, tokenizer.eos_token_id, tokenizer.unk_token_id}
    return None if tokenizer.pad_token_id in others else int(tokenizer.pad_token_id)


def check_vocabulary(tokens: NDArray[np.int64], source: str, model: Model) -> None:
    """Refuse token ids that the model's vocabulary does not have (InputError names the first)."""
    outside = (tokens < 0) | (tokens >= model.d_vocab)
    if outside.any():
        prompt, position = (int(index) for index in np.argwhere(outside)[0])
        raise InputError(
            f"prompts {source}, prompt {prompt}, position {position}",
            got=f"token id {tokens[prompt, position]}",
            expected=f"0 to {model.d_vocab - 1}, the vocabulary of {model.name}",
            fix="tokenise the prompts with this model's own tokenizer",
        )
