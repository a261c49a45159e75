"""A model's tokenizer: the one that its tokenizer.json describes, whatever its class would do."""

from __future__ import annotations

from pathlib import Path

from tokenizers import Tokenizer
from transformers import AutoTokenizer, PreTrainedTokenizerBase, PreTrainedTokenizerFast
from transformers.utils import cached_file

from steppe.models.loading import loading_error

_FILE = "tokenizer.json"
_FILES = (_FILE, "tokenizer_config.json", "vocab.json", "tokenizer.model")
# What pre-tokenizers and normalisers treat differently.
_TEXT = (
    "The year's 1,234.50 prices (don't ask!) rose;  two  blanks,\ttabs\nand lines\n\n"
    "  def f(x): x+=1 Straße, ÉCOLE, naïve \ufb01ne e\u0301, Привет мир, 你好世界, 日本語, שלום, "
    "\U0001f44d\U0001f3fd <b>&amp;</b> http://a.b/c?d=1"
)
# What the readers of these files raise; the package tokenizers raises the bare `Exception`.
_UNREADABLE = (OSError, ValueError, KeyError, TypeError, AttributeError, ImportError)


def load_tokenizer(
    folder: Path, source: str, revision: str | None
) -> PreTrainedTokenizerBase | None:
    """Load the tokenizer beside a model; None when a folder holds none.

    Where there is a tokenizer.json, it decides: the class that transformers would choose by the
    model's family may split texts in another way, and is not asked.

    Args:
        folder: Where the model's files are.
        source: The folder as given, or a hub id.
        revision: Commit on the hub.

    Raises:
        InputError: There is one, and it cannot be read.
    """
    if Path(source).expanduser().is_dir() and not any((folder / name).exists() for name in _FILES):
        return None
    try:
        return _load(source, revision)
    except Exception as fault:
        if type(fault) is not Exception and not isinstance(fault, _UNREADABLE):
            raise
        raise loading_error("tokenizer", source, fault) from fault


def _load(source: str, revision: str | None) -> PreTrainedTokenizerBase:
    options = {"revision": revision, "trust_remote_code": False}
    path = cached_file(
        source, _FILE, revision=revision, _raise_exceptions_for_missing_entries=False
    )
    if path is None:
        found: PreTrainedTokenizerBase = AutoTokenizer.from_pretrained(source, **options)
        return found
    tokenizer: PreTrainedTokenizerBase = PreTrainedTokenizerFast.from_pretrained(source, **options)
    described = Tokenizer.from_file(str(path))
    described.no_truncation()
    described.no_padding()
    own = tokenizer(_TEXT, add_special_tokens=False, verbose=False)["input_ids"]
    if own == described.encode(_TEXT, add_special_tokens=False).ids:
        return tokenizer
    known = {
        name: token
        for name, token in tokenizer.special_tokens_map.items()
        if described.token_to_id(str(token)) is not None
    }
    as_described: PreTrainedTokenizerBase = PreTrainedTokenizerFast(
        tokenizer_object=described, **known
    )
    return as_described
