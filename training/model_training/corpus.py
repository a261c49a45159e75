"""Text files to a tokenizer and a token stream on disk, and token windows out of it."""

from __future__ import annotations

import json
import lzma
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers

from model_training.cache_note import Origin, digest, made_once

END_OF_TEXT = "<|endoftext|>"
END_OF_TEXT_ID = 0
BOOK_SEPARATOR = "\n\f\n"

TokenArray = NDArray[np.int64]
TokenStream = NDArray[np.uint16] | NDArray[np.uint32]


def read_books(path: Path) -> list[str]:
    """Reads a text file, xz-compressed or plain, and splits it into books.

    Args:
        path: UTF-8 text; books are separated by a line that holds only a form feed.

    Returns:
        The books in file order, empty ones left out.
    """
    opener = lzma.open if path.suffix == ".xz" else open
    with opener(path, "rt", encoding="utf-8") as stream:
        books = stream.read().split(BOOK_SEPARATOR)
    return [book.strip("\n\f") for book in books if book.strip()]


def train_tokenizer(books: list[str], vocabulary_size: int) -> Tokenizer:
    """Trains a byte-level BPE tokenizer whose id 0 is the end-of-text token.

    Args:
        books: the training text.
        vocabulary_size: number of ids, the 256 bytes and the special token included.
    """
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.post_processor = processors.ByteLevel(trim_offsets=False)
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary_size,
        special_tokens=[END_OF_TEXT],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    # Paragraphs, not books: the trainer counts words in parallel over the items it is given.
    paragraphs = (paragraph for book in books for paragraph in book.splitlines(keepends=True))
    tokenizer.train_from_iterator(paragraphs, trainer)
    return tokenizer


def load_or_train_tokenizer(path: Path, books: list[str], vocabulary_size: int) -> Tokenizer:
    """Returns the tokenizer at `path`, training and writing it first where there is none.

    Raises:
        ValueError: The one at `path` was trained on another text, or has another size.
    """
    origin: Origin = {"text_sha256": digest(books), "vocabulary": vocabulary_size}
    made_once(path, origin, lambda file: train_tokenizer(books, vocabulary_size).save(str(file)))
    return Tokenizer.from_file(str(path))


def token_stream(
    path: Path, books: list[str], tokenizer: Tokenizer, *, separated: bool = True
) -> TokenStream:
    """Returns the books as one memory-mapped token stream, writing it at first use.

    Args:
        path: the `.npy` cache file.
        books: the text.
        tokenizer: stored in two bytes a token where its ids fit, else in four.
        separated: whether the end-of-text token of `train_tokenizer` is put before each book.

    Returns:
        Token ids, shape (tokens,).

    Raises:
        ValueError: The file at `path` holds another text, or another tokenizer's tokens.
    """
    # Ids and merges decide the tokens; how a library writes the rest of the file does not.
    model = json.loads(tokenizer.to_str())["model"]
    rules = json.dumps([model["vocab"], model["merges"]], sort_keys=True)
    origin: Origin = {"text_sha256": digest(books), "tokenizer_sha256": digest([rules])}
    if not separated:
        origin = {**origin, "separated": 0}
    made_once(path, origin, lambda file: np.save(file, _tokens_of(books, tokenizer, separated)))
    stream: TokenStream = np.load(path, mmap_mode="r")
    return stream


def _tokens_of(books: list[str], tokenizer: Tokenizer, separated: bool) -> TokenStream:
    kind = np.uint16 if tokenizer.get_vocab_size() <= 1 << 16 else np.uint32
    pieces = []
    for book in books:
        if separated:
            pieces.append(np.array([END_OF_TEXT_ID], dtype=kind))
        # Cut at paragraph ends: one huge string is slow, and a batch uses every core.
        parts = _paragraph_groups(book, characters=20_000)
        encodings = tokenizer.encode_batch_fast(parts, add_special_tokens=False)
        pieces.extend(np.array(encoding.ids, dtype=kind) for encoding in encodings)
    return np.concatenate(pieces)


def _paragraph_groups(book: str, characters: int) -> list[str]:
    groups, current, length = [], [], 0
    for line in book.splitlines(keepends=True):
        current.append(line)
        length += len(line)
        # Only before a line with text: a run of newlines must stay in one piece, it is one token.
        if length >= characters and line.strip():
            groups.append("".join(current))
            current, length = [], 0
    if current:
        groups.append("".join(current))
    return groups


@dataclass(frozen=True)
class Windows:
    """Training windows: a seeded permutation of the stream's windows for every pass over it.

    Batch `index` depends only on the seed and the index, so a resumed run sees what an
    undisturbed one would have seen. Some windows begin with the end-of-text token (the model must
    be able to write from nothing), the others begin in the middle of the text (the studies feed
    such windows).
    """

    stream: TokenStream
    """Token ids, shape (tokens,)."""
    length: int
    """Tokens in a window."""
    batch_size: int
    """Windows in a batch."""
    seed: int
    bos_share: float = 0.5
    """Part of a batch, its first rows, that begins with the end-of-text token."""

    def __post_init__(self) -> None:
        if self.batches_per_pass < 1:
            raise ValueError(
                f"the text holds {len(self.stream):,} tokens, too few for one batch of "
                f"{self.batch_size} windows of {self.length} tokens; give a longer text"
            )

    @property
    def batches_per_pass(self) -> int:
        """Whole batches in one pass over the stream."""
        return (len(self.stream) - 2 * self.length) // self.length // self.batch_size

    def batch(self, index: int) -> tuple[TokenArray, TokenArray]:
        """Returns inputs and next-token targets, both of shape (batch_size, length)."""
        epoch, place = divmod(index, self.batches_per_pass)
        windows = self.batches_per_pass * self.batch_size
        shift, order = _shift_and_order(self.seed, epoch, windows, self.length)
        chosen = order[place * self.batch_size : (place + 1) * self.batch_size]
        starts = shift + chosen * self.length
        rows = self.stream[starts[:, None] + np.arange(self.length + 1)].astype(np.int64)
        inputs, targets = rows[:, :-1].copy(), rows[:, 1:].copy()
        from_nothing = slice(0, int(self.batch_size * self.bos_share))
        targets[from_nothing] = rows[from_nothing, :-1]
        inputs[from_nothing, 1:] = rows[from_nothing, :-2]
        inputs[from_nothing, 0] = END_OF_TEXT_ID
        return inputs, targets


@lru_cache(maxsize=8)
def _shift_and_order(seed: int, epoch: int, windows: int, length: int) -> tuple[int, TokenArray]:
    # Kept from batch to batch: with short windows a permutation costs more than a training step.
    generator = np.random.default_rng([seed, epoch])
    return int(generator.integers(length)), generator.permutation(windows)
